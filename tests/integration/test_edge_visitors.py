"""What visitors and the application get from the real nginx and haproxy."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge import Lab, ask, collect, needed, running

from adaf_pipeline.testing.balancer import within

pytestmark = needed


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    yield from running()


@pytest.fixture
def lab(shared: Lab) -> Lab:
    return shared.well()


@pytest.fixture
def unreleased() -> Iterator[Lab]:
    yield from running()


def test_a_first_visit_gets_an_id_and_is_placed_by_it(lab: Lab) -> None:
    lab.app.bad = set()
    lab.balancer.set_share({"blue": 50.0, "green": 50.0})
    colours = set()
    for _ in range(30):
        first = ask(lab)
        cookie = first.header("set-cookie")
        assert re.fullmatch(r"adaf_visitor=[0-9a-f-]{36}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", cookie), (
            cookie
        )
        again = ask(lab, headers={"Cookie": cookie.partition(";")[0]})
        assert again.header("set-cookie") == ""
        assert again.header("x-release-id") == first.header("x-release-id")
        colours.add(first.header("x-release-id"))
    assert colours == {"r-blue", "r-green"}


@pytest.mark.parametrize(
    "cookie",
    ["adaf_visitor=", 'adaf_visitor="quoted"', f"adaf_visitor={'x' * 5000}", "adaf_visitor=ä\x01%00", ";;==;", "=; a"],
)
def test_a_garbage_cookie_is_replaced(lab: Lab, cookie: str) -> None:
    with lab.balancer.log() as log:
        answer = ask(lab, headers={"Cookie": cookie, "X-Request-Id": "garbage-1"})
        if answer.status == 400:  # nginx refuses control characters in headers from some version on
            return
        (served,) = collect(log, ["garbage-1"])["garbage-1"]
        assert log.missing == 0
    assert answer.status == 200
    assert answer.header("set-cookie").startswith(f"adaf_visitor={served.visitor};")
    assert re.fullmatch("[0-9a-f-]{36}", served.visitor)


def test_request_ids_reach_everybody_and_only_sane_ones(lab: Lab) -> None:
    for given, kept in (
        ("abc-DEF_123", True),
        ("short", False),
        ("x" * 65, False),
        ("with space in", False),
        ("", False),
    ):
        answer = ask(lab, "/headers", {"X-Request-Id": given} if given else {})
        told = json.loads(answer.body)
        assert (answer.header("x-request-id") == given) is kept
        assert re.fullmatch("[A-Za-z0-9_-]{8,64}", answer.header("x-request-id"))
        assert told["x-request-id"] == answer.header("x-request-id").lower()


def test_what_a_visitor_claims_is_not_passed_on_and_no_version_leaks(lab: Lab) -> None:
    claims = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
    }
    answer = ask(lab, "/headers", claims)
    told = json.loads(answer.body)
    assert told["x-forwarded-for"] == told["x-real-ip"] == "127.0.0.1"
    assert (told["x-forwarded-proto"], told["host"]) == ("http", "visitors")
    assert "forwarded" not in told
    assert (answer.header("server"), answer.header("x-powered-by")) == ("nginx", "")


def test_before_the_first_release_it_says_so(unreleased: Lab) -> None:
    with unreleased.balancer.log() as log:
        answer = ask(unreleased, headers={"X-Request-Id": "no-release"})
        (served,) = collect(log, ["no-release"])["no-release"]
    assert answer.status == 503
    assert b"No release yet" in answer.body
    assert answer.header("retry-after") == "5"
    assert (served.colour, served.server, served.failed) == ("", "", True)
    assert unreleased.balancer.share() == unreleased.balancer.live_share() == {}


def test_without_the_balancer_the_edge_says_so_with_the_request_id(lab: Lab) -> None:
    lab.stop("balancer.1")
    answer = ask(lab, headers={"X-Request-Id": "nobody-home"})
    assert answer.status == 502
    assert b"nobody-home" in answer.body
    assert answer.header("x-request-id") == "nobody-home"
    assert answer.header("content-type").startswith("text/html")
    lab.start("balancer.1")
    assert ask(lab).status == 200


def test_without_a_process_that_answers_the_balancer_says_so_with_the_request_id(lab: Lab) -> None:
    for colour in ("blue", "green"):
        lab.app.down(colour)
    answer = ask(lab, headers={"X-Request-Id": "nobody-works"}, method="POST")  # on a connection of its own
    for colour in ("blue", "green"):
        lab.app.up(colour)
    assert (answer.status, answer.header("retry-after")) == (503, "5")
    assert b"cannot be reached right now" in answer.body and b"nobody-works" in answer.body
    style = re.findall(b"<style>(.*?)</style>", answer.body, re.DOTALL)[0]
    known = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert f"style-src 'sha256-{known}';" in answer.header("content-security-policy")
    assert ask(lab).status == 200


def test_streams_arrive_as_they_are_written(lab: Lab) -> None:
    with lab.connect("proxy.1", unix=False) as link:
        begun = time.monotonic()
        link.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while b"first" not in data:
            data += link.recv(65536)
        assert time.monotonic() - begun < 0.4
        while not data.endswith(b"\r\n0\r\n\r\n"):  # a request id may end in 0 as well
            data += link.recv(65536)
        assert b"last" in data


def test_websockets_pass(lab: Lab) -> None:
    key = base64.b64encode(hashlib.sha256(b"edge").digest()[:16])
    with lab.connect("proxy.1", unix=False) as link:
        link.sendall(
            b"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        data = b""
        while not data.endswith(b"echo"):
            data += link.recv(65536)
        assert data.startswith(b"HTTP/1.1 101 ")


def test_the_access_log_is_json_without_queries(lab: Lab) -> None:
    ask(lab, "/page?token=very-hidden", {"X-Request-Id": "too-long-1", "User-Agent": "long" * 5000})
    ask(lab, "/page?token=very-hidden", {"X-Request-Id": "logged-1", "User-Agent": 'a "quoted" ' + "long" * 100})
    out = lab.base / "proxy.1" / "out"
    assert within(5, lambda: "logged-1" in out.read_text())
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    (line,) = [line for line in lines if line["request"] == "logged-1"]
    assert (line["method"], line["path"], line["status"], line["release"]) == ("GET", "/page", 200, line["release"])
    assert line["release"] in {"r-blue", "r-green"}
    assert line["agent"].startswith('a "quoted" longlong')
    assert "hidden" not in out.read_text()
    assert max(len(text) for text in out.read_text().splitlines()) < 4096


def test_metrics_are_served(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.port("balancer.1.stats")), 5) as link:
        link.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"haproxy_server_current_sessions" in b"".join(iter(lambda: link.recv(1 << 20), b""))


def test_nothing_stays_behind_when_haproxy_is_killed(lab: Lab) -> None:
    process = lab.running["balancer.1"]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    assert children == ""
    lab.crash("balancer.1")
