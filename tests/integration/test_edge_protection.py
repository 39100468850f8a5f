"""What the edge keeps away from the application, and what it says on its behalf: the real nginx and haproxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from edge import LIVE, READY, Answer, Client, Lab, ask, needed, running

from adaf_nginx.headers import DEFAULTS
from adaf_nginx.settings import Limits, Settings
from adaf_pipeline.testing.balancer import within

pytestmark = needed

ELSEWHERE = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
LIMITS = Limits(pages="2/s", pages_burst=4, api="1/s", api_burst=2, auth="5/min", auth_burst=1, connections=3)


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    """Behind a proxy of this machine, so that a test can come from any address."""
    yield from running(Settings(trusted=("127.0.0.0/8",), limits=LIMITS, patience=1, body_mb=1))


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    shared.well().app.bad = set()
    yield shared
    shared.proxy.set_maintenance(False)


def many(lab: Lab, count: int, path: str, headers: dict[str, str], method: str = "GET") -> Counter[int]:
    async def all_of_them() -> list[Answer]:
        client = Client(lab.port("proxy.1.http"))
        answers = [await client.ask(method, path, headers) for _ in range(count)]
        client.hang_up()
        return answers

    return Counter(answer.status for answer in asyncio.run(all_of_them()))


def visitor(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"198.51.100.{number}"}


# ---------------------------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize("path", ["/", "/_adaf/proxy"])
def test_each_header_is_said_once(lab: Lab, path: str) -> None:
    answer = ask(lab, path, {**visitor(1), "X-Forwarded-Proto": "https"})
    names = Counter(name for name, _ in answer.headers)
    assert {name: names[name.lower()] for name in DEFAULTS} == dict.fromkeys(DEFAULTS, 1)
    assert {name: answer.header(name.lower()) for name in DEFAULTS} == dict(DEFAULTS)
    assert (answer.header("server"), names["x-powered-by"], names["x-request-id"]) == ("nginx", 0, 1)


def test_by_http_nobody_promises_https(lab: Lab) -> None:
    assert ask(lab, headers=visitor(2)).header("strict-transport-security") == ""


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_the_application_has_the_last_word(lab: Lab, name: str) -> None:
    answer = ask(lab, "/say", {**visitor(3 + len(name)), "X-Forwarded-Proto": "https", "X-Say": f"{name}|other"})
    assert [value for key, value in answer.headers if key == name.lower()] == ["other"]


def test_the_policy_is_the_applications_own_and_nginx_has_one_for_its_own_pages(lab: Lab) -> None:
    assert ask(lab, headers=visitor(60)).header("content-security-policy") == ""
    said = ask(lab, "/say", {**visitor(61), "X-Say": "Content-Security-Policy|default-src 'self'"})
    assert said.header("content-security-policy") == "default-src 'self'"
    lab.proxy.set_maintenance(True)
    assert (
        ask(lab, headers=visitor(62)).header("content-security-policy").startswith("default-src 'none'; style-src 'sha")
    )


def test_what_only_a_proxy_may_say_does_not_reach_the_application(lab: Lab) -> None:
    wicked = ["X-Middleware-Subrequest", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Port"]
    wicked += ["X-Forwarded-Server", "X-Forwarded-Ssl", "Forwarded", "X-Adaf-Probe", "x_middleware_subrequest"]
    seen = json.loads(ask(lab, "/headers", {**visitor(63), **dict.fromkeys(wicked, "middleware")}).body)
    assert "middleware" not in seen.values()
    assert not {name.lower() for name in wicked} & seen.keys()


def test_request_and_trace_ids_are_passed_and_logged(lab: Lab) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    said = {**visitor(64), "X-Request-Id": "traced-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    seen = json.loads(ask(lab, "/headers", said).body)
    assert (seen["x-request-id"], seen["traceparent"]) == ("traced-1", said["traceparent"])
    out = lab.base / "proxy.1" / "out"
    assert within(5, lambda: "traced-1" in out.read_text())
    (line,) = [line for line in map(json.loads, out.read_text().splitlines()) if line["request"] == "traced-1"]
    assert (line["trace"], line["client"], line["limited"]) == (trace, "198.51.100.64", "PASSED")


# ----------------------------------------------------------------------------------------------------------- limits


def test_too_many_requests_are_told_when_to_come_back(lab: Lab) -> None:
    assert many(lab, 12, "/", visitor(70)) == {200: 5, 429: 7}
    refused = ask(lab, "/", {**visitor(70), "Accept": "text/html"})
    assert (refused.status, refused.header("retry-after")) == (429, "1")
    assert refused.header("content-type") == "text/html; charset=utf-8"
    assert refused.header("x-content-type-options") == "nosniff"
    assert b"Too many requests" in refused.body
    assert ask(lab, "/", visitor(71)).status == 200, "another visitor is not concerned"


def test_an_api_has_a_limit_of_its_own_and_answers_in_json(lab: Lab) -> None:
    assert many(lab, 8, "/api/things", visitor(72)) == {200: 3, 429: 5}
    refused = ask(lab, "/api/things", visitor(72))
    assert refused.header("content-type") == "application/problem+json"
    assert json.loads(refused.body)["status"] == 429
    assert ask(lab, "/", visitor(72)).status == 200


def test_passwords_are_tried_slowly_and_looking_is_not_trying(lab: Lab) -> None:
    assert many(lab, 5, "/login", visitor(73), "POST") == {200: 2, 429: 3}
    assert ask(lab, "/login", visitor(73), "POST").header("retry-after") == "12"
    assert many(lab, 3, "/login", visitor(73)) == {200: 3}
    assert many(lab, 5, "//api/../login/x?y", visitor(74), "POST") == {200: 2, 429: 3}


def test_chunks_of_a_page_and_our_own_probes_are_not_counted(lab: Lab) -> None:
    assert many(lab, 30, "/_next/static/chunks/a.js", visitor(75)) == {200: 30}
    assert many(lab, 30, "/", {**visitor(75), **lab.proxy.pass_for_probes()}) == {200: 30}
    assert many(lab, 30, "/", {**visitor(75), "X-Adaf-Probe": "0" * 64})[429] == 25


def test_a_network_of_ipv6_is_one_visitor(lab: Lab) -> None:
    seen = Counter(ask(lab, headers={"X-Forwarded-For": f"2001:db8:1:2::{n:x}"}).status for n in range(1, 11))
    assert seen[429] >= 4
    assert ask(lab, headers={"X-Forwarded-For": "2001:db8:1:3::1"}).status == 200


def test_who_hangs_on_leaves_room_for_others(lab: Lab) -> None:
    lab.app.bad = {"blue", "green"}

    async def at_once(number: int) -> list[int]:
        clients = [Client(lab.port("proxy.1.http")) for _ in range(4)]
        answers = await asyncio.gather(
            *(c.ask("GET", "/_next/static/x", {**visitor(number), "X-Mode": "slow"}) for c in clients)
        )
        for client in clients:
            client.hang_up()
        return sorted(answer.status for answer in answers)

    assert asyncio.run(at_once(76)).count(429) == 1


def test_nobody_is_believed_who_is_not_trusted() -> None:
    for lab in running(Settings(limits=LIMITS)):
        lab.well().app.bad = set()
        seen = json.loads(ask(lab, "/headers", ELSEWHERE).body)
        assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("127.0.0.1", "http")
        assert many(lab, 12, "/", ELSEWHERE)[429] >= 7


def test_a_trusted_proxy_says_who_and_how(lab: Lab) -> None:
    seen = json.loads(ask(lab, "/headers", {**ELSEWHERE, "X-Forwarded-For": "6.6.6.6, 203.0.113.9"}).body)
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("203.0.113.9", "https")


def test_a_dry_run_refuses_nobody_and_says_whom_it_would_have() -> None:
    for lab in running(Settings(limits=Limits(mode="dry-run", pages="1/s", pages_burst=0))):
        lab.well().app.bad = set()
        assert many(lab, 5, "/", {}) == {200: 5}
        out = lab.base / "proxy.1" / "out"
        assert within(5, lambda out=out: out.read_text().count('REJECTED_DRY_RUN"') == 4), out.read_text()


# ------------------------------------------------------------------------------------------------- size and slowness


def test_a_large_body_is_refused_in_words(lab: Lab) -> None:
    with lab.connect("proxy.1", unix=False) as link:
        link.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nContent-Length: 2000000\r\n\r\n")
        said = link.recv(1 << 20)
    assert said.startswith(b"HTTP/1.1 413") and b"larger than this site accepts" in said
    assert said.lower().count(b"x-content-type-options: nosniff") == 1


@pytest.mark.parametrize(
    "begin", [b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"]
)
def test_a_slow_client_is_left(lab: Lab, begin: bytes) -> None:
    """Headers have ``patience`` in all, a body between two pieces; the application hears of neither."""
    before, since = len(lab.app.executed), time.monotonic()
    with lab.connect("proxy.1", unix=False) as link:
        link.sendall(begin)
        link.settimeout(4)
        with contextlib.suppress(ConnectionResetError):
            while data := link.recv(1000):
                assert data.startswith(b"HTTP/1.1 408")
    assert 0.5 < time.monotonic() - since < 3.5
    assert len(lab.app.executed) == before


def test_headers_dripping_in_are_not_waited_for(lab: Lab) -> None:
    with lab.connect("proxy.1", unix=False) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(OSError):
            for _ in range(20):
                link.sendall(b"X-A: b\r\n")
                time.sleep(0.2)
                link.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    if not link.recv(1000):
                        raise ConnectionResetError


# ------------------------------------------------------------------------------------------------------ maintenance


def test_maintenance_closes_the_site_and_keeps_probes_going(lab: Lab) -> None:
    lab.proxy.set_maintenance(True)
    assert lab.proxy.maintenance()
    closed = ask(lab, "/", {**visitor(90), "Accept": "text/html"})
    assert (closed.status, closed.header("retry-after"), closed.header("cache-control")) == (503, "60", "no-store")
    assert b"maintenance" in closed.body
    assert ask(lab, "/_next/static/x", visitor(90)).status == 503
    assert ask(lab, "/api/x", visitor(90)).header("content-type") == "application/problem+json"
    for path in (READY, LIVE, "/_adaf/proxy"):
        assert ask(lab, path, visitor(91)).status == 200, path
    assert many(lab, 20, "/", {**visitor(92), **lab.proxy.pass_for_probes()}) == {200: 20}
    assert ask(lab, "/", {**visitor(93), "X-Adaf-Probe": "1"}).status == 503
    lab.crash("proxy.1")
    assert ask(lab, "/", visitor(94)).status == 503, "a restart opened it"
    lab.proxy.set_maintenance(False)
    assert not lab.proxy.maintenance()
    assert ask(lab, "/", visitor(94)).status == 200


def test_a_secret_of_probes_is_nowhere_but_in_its_file(lab: Lab) -> None:
    from edge import SECRET

    found = [p for p in lab.base.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
    assert [path.name for path in found] == ["edge-probe"]


def test_the_port_listens_for_nothing_else(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.port("proxy.1.http")), 2) as link:
        link.sendall(b"\x16\x03\x01\x02\x00")
        assert link.recv(1000).startswith(b"HTTP/1.1 400")
