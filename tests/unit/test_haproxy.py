"""HAProxy's plugin without HAProxy: what it renders, how it keeps the share, how it reads the log."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import adaf_haproxy
from adaf_haproxy import location, share
from adaf_haproxy.backend import HAProxy
from adaf_haproxy.configuration import servers
from adaf_haproxy.control import Control
from adaf_pipeline.errors import ConfigError, PreconditionError, ServiceError
from adaf_pipeline.service import Ref, Service, Text


def balancer(folder: Path | None = None, replicas: int = 1, names: str = "", **settings: Any) -> HAProxy:
    places = {"path": str(folder / share.FILE) if folder else "", "instance": "admin"}
    runtime = SimpleNamespace(resolve=lambda ref: places[ref.kind], names=names)
    apps = {"web": SimpleNamespace(name="web", replicas=replicas)}
    return HAProxy(HAProxy.Settings(**settings), cast(Any, SimpleNamespace(runtime=runtime, apps=apps)))


def rendered(text: Text) -> str:
    return "".join(
        part if isinstance(part, str) else f"<{part.kind} {part.owner} {part.name} {part.part}>" for part in text
    )


# ----------------------------------------------------------------------------------------------- what it describes


def test_the_plugin_offers_what_it_has() -> None:
    (offer,) = adaf_haproxy.adaf_backends()
    module, _, name = offer.target.partition(":")
    assert (offer.role, offer.name) == ("balancer", "haproxy")
    assert getattr(importlib.import_module(module), name) is HAProxy


@pytest.mark.parametrize(
    "wrong", [{"cookie": "a b"}, {"connect": 0}, {"threads": 0}, {"maxconn": 5}, {"colour": "red"}]
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, HAProxy.Settings)


def test_the_service_names_no_place_and_every_ref_has_a_target() -> None:
    (service,) = balancer().services()
    texts: list[Text] = [*service.argv, *(file.body for file in service.files)]
    assert not re.search(r"/(tmp|var|usr|etc|run|home)\b|127\.0", "".join(map(rendered, texts)))
    own = {port.name for port in service.ports}
    places = {file.name for file in service.files} | {volume.name for volume in service.volumes}
    refs = [part for text in texts for part in text if isinstance(part, Ref)]
    for ref in refs:
        match ref.kind:
            case "binary":
                assert ref.name in {binary.name for binary in service.binaries}
            case "path":
                assert ref.owner == service.id and ref.name in places
            case "instance":
                assert (ref.owner == service.id and ref.name in own) or ref.owner in {"web.blue.1", "web.green.1"}
            case _:
                raise AssertionError(ref)
    assert service.ready and service.ready.port in own
    assert service.metrics and service.metrics[0] in own


def test_the_share_file_is_there_from_the_first_start_and_never_rendered_again() -> None:
    (service,) = balancer().services()
    (file,) = [file for file in service.files if file.volume]
    assert (file.name, file.initial) == (share.FILE, True)
    assert rendered(service.argv[-1]).endswith(f"{file.volume} {file.name}>")
    assert rendered(file.body) == "global\n    set-var proc.green int(-1)\n"


def test_settings_reach_the_configuration() -> None:
    (service,) = balancer(cookie="who", cookie_days=1, connect=0.25, server=9, threads=3, metrics=False).services()
    body = rendered(service.files[0].body)
    for line in ("timeout connect 250ms", "timeout server 9000ms", "nbthread 3", "req.cook(who)", 'Set-Cookie "who=%'):
        assert line in body
    assert "Max-Age=86400;" in body
    assert "prometheus" not in body
    assert service.metrics is None
    assert "{{" not in body


def test_replicas_are_a_loop() -> None:
    lines = rendered(servers("web", 3)).splitlines()
    assert len([line for line in lines if line.strip().startswith("server ")]) == 12
    for number in (1, 2, 3):
        assert any(
            f"use-server green-{number} " in line and f"mod(3) eq {number - 1}" in line and "repeatable" in line
            for line in lines
        )
    assert "    server blue-2-once <instance web.blue.2 http > pool-max-conn 0" in lines


def test_the_applications_replicas_reach_the_configuration() -> None:
    (one,), (two,) = balancer().services(), balancer(replicas=2).services()
    assert "green-2 " not in rendered(one.files[0].body)
    assert "server green-2 <instance web.green.2 http >" in rendered(two.files[0].body)


def test_without_an_application_it_says_so() -> None:
    with pytest.raises(ConfigError, match="apps: empty"):
        HAProxy(HAProxy.Settings(), cast(Any, SimpleNamespace(apps={}))).services()


def test_the_digest_changes_with_the_settings_only() -> None:
    def digest(**settings: Any) -> str:
        services: tuple[Service, ...] = balancer(**settings).services()
        return services[0].digest()

    assert digest() == digest()
    assert digest() != digest(maxconn=500)
    assert digest() == digest(hang=9)  # the reader's business, not the process's


# ---------------------------------------------------------------------------------------------------- the share


@given(st.integers(0, 10_000))
def test_a_share_and_its_threshold_are_the_same_thing(green: int) -> None:
    assert share.threshold(share.share_of(green)) == green
    assert sum(share.share_of(green).values()) == pytest.approx(100)


@pytest.mark.parametrize(
    "wrong", [{"blue": 99.0}, {"blue": float("nan")}, {"red": 100.0}, {"blue": 150.0, "green": -50.0}]
)
def test_what_is_no_share_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        share.threshold(wrong)


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / share.FILE
    assert share.read(file) == share.NOTHING_LIVE
    for green in (0, 500, 10_000, share.NOTHING_LIVE):
        share.write(file, green)
        assert share.read(file) == green
    assert [path.name for path in tmp_path.iterdir()] == [share.FILE]
    assert file.stat().st_mode & 0o777 == 0o644
    assert (file.stat().st_uid, file.stat().st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)


def test_a_failed_write_leaves_the_old_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / share.FILE
    share.write(file, 500)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        share.write(file, 600)
    assert share.read(file) == 500
    assert [path.name for path in tmp_path.iterdir()] == [share.FILE]


@pytest.mark.parametrize(
    "body", ["", "global\n", "global\n set-var proc.green int(20000)\n", "set-var proc.green str(x)"]
)
def test_a_file_that_holds_no_share_is_an_error(tmp_path: Path, body: str) -> None:
    (tmp_path / share.FILE).write_text(body)
    with pytest.raises(ServiceError, match="holds no share"):
        share.read(tmp_path / share.FILE)


def test_a_balancer_that_was_never_started_has_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="never started"):
        share.write(tmp_path / "nowhere" / share.FILE, 1)


def test_it_is_written_down_before_it_is_live_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    live = "-1"

    def ask(_self: Control, command: str) -> str:
        nonlocal live
        asked.append(f"{command} | file: {share.read(tmp_path / share.FILE)}")
        if found := re.search(r"experimental-mode on; set var proc\.green int\((\d+)\)", command):
            live = found[1]
            return ""
        return f"proc.green: type=sint value=<{live}>"

    monkeypatch.setattr(Control, "ask", ask)
    made = balancer(tmp_path)
    assert made.live_share() == {}
    made.set_share({"blue": 95.0, "green": 5.0})
    assert asked[1:] == [
        "experimental-mode on; set var proc.green int(500) | file: 500",
        "get var proc.green | file: 500",
    ]
    assert made.live_share() == made.share() == {"blue": 95.0, "green": 5.0}
    monkeypatch.setattr(Control, "ask", lambda _self, _command: "proc.green: type=sint value=<7>")
    with pytest.raises(ServiceError, match="did not take the share"):
        made.set_share({"green": 100.0})
    assert made.share() == {"blue": 0.0, "green": 100.0}


def test_requests_in_flight_are_summed_over_a_colours_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    table = "# pxname,svname,qcur,scur,\napp,blue-1,0,1,\napp,blue-1-once,0,2,\napp,green-1,0,4,\napp,green-1-once,0,8,"
    monkeypatch.setattr(Control, "ask", lambda _self, _command: table)
    assert (balancer().active("blue"), balancer().active("green"), balancer().active("red")) == (3, 12, 0)


# ------------------------------------------------------------------------------------------- addresses that change


class Moving(Control):
    """What haproxy says of its servers, one answer a question; the last one stays."""

    def __init__(self, *answers: tuple[str, int, str, int]) -> None:
        self.answers = list(answers)

    def ask(self, command: str) -> str:
        assert command == "show servers state app"
        first, state, second, twin = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state"
        return f"{head}\n4 app 1 blue-1 {first} 2 {state}\n4 app 2 blue-1-once {second} 2 {twin}"


def test_addresses_that_stay_are_looked_up_nowhere() -> None:
    (file,) = [file for file in balancer().services()[0].files if file.name == "haproxy.cfg"]
    assert "resolve" not in rendered(file.body)
    balancer().locate({"web.blue.1": Ref("instance", "web.blue.1", "http")})  # asks nobody


def test_addresses_that_change_are_looked_up_by_every_server() -> None:
    (file,) = [file for file in balancer(names="127.0.0.11:53").services()[0].files if file.name == "haproxy.cfg"]
    said = rendered(file.body)
    assert "\nresolvers peers\n    nameserver engine 127.0.0.11:53\n" in said
    assert said.index("default-server resolvers peers") < said.index("    server blue-1 ")


def test_it_waits_until_both_servers_are_where_the_process_is() -> None:
    control = Moving(
        ("-", 0x20, "-", 0x20),
        ("10.0.0.2", 0, "10.0.0.9", 0),
        ("10.0.0.2", 0, "10.0.0.2", 0x20),
        ("10.0.0.2", 0, "10.0.0.2", 0),
    )
    location.wait(control, {"web.blue.1": "10.0.0.2"}, within=5)
    assert len(control.answers) == 1


@pytest.mark.parametrize(
    "answer", [("10.0.0.9", 0, "10.0.0.9", 0), ("10.0.0.2", 0x20, "10.0.0.2", 0x20), ("-", 0, "10.0.0.2", 0)]
)
def test_a_process_that_is_not_found_is_named(answer: tuple[str, int, str, int]) -> None:
    with pytest.raises(ServiceError, match=r"haproxy does not find web\.blue\.1 at 10\.0\.0\.2 within 0 s"):
        location.wait(Moving(answer), {"web.blue.1": "10.0.0.2"}, within=0)
