"""What the compose runtime decides without an engine; tests/compose has the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from adaf_compose.backend import Compose
from adaf_compose.launch import ordered
from adaf_compose.logs import split
from adaf_compose.observe import Container
from adaf_compose.program import OLDEST, Program, _numbers
from adaf_compose.settings import Settings
from adaf_pipeline.errors import PluginError, PreconditionError
from adaf_pipeline.process import Completed
from adaf_pipeline.testing.runtime import web
from adaf_pipeline.testing.stack import fake_stack


def container(probe: list[str], **state: object) -> Container:
    attrs = {
        "State": {"Status": "running", "StartedAt": "2026-01-02T03:04:05.678901234Z", **state},
        "Config": {"Healthcheck": {"Test": ["CMD", "perl", "/etc/adaf/probe", *probe]}},
        "NetworkSettings": {
            "Networks": {"shop_app": {"IPAddress": "172.30.0.2"}, "shop_cache": {"IPAddress": "172.30.9.9"}}
        },
    }
    labels = {"adaf.service": "web.blue.1", "adaf.role": "app", "com.docker.compose.project": "shop"}
    return Container(SimpleNamespace(attrs=attrs, labels=labels), Path("/state"))


def test_a_probe_is_asked_again_from_the_host_on_the_network_of_the_services_role() -> None:
    found = container(["127.0.0.1:8080", "2", "/ready", "shop"]).asked()
    assert found is not None
    assert (found[1], found[0].http, found[0].timeout, found[0].host) == ("172.30.0.2:8080", "/ready", 2.0, "shop")


def test_a_socket_is_below_the_stacks_directory_on_the_host() -> None:
    found = container(["/srv/adaf/balancer.1/edge/http.sock", "2"]).asked()
    assert found is not None
    assert (found[1], found[0].http) == ("/state/volumes/balancer.1/edge/http.sock", "")


def test_a_container_that_never_started_has_no_age() -> None:
    assert container([], StartedAt="0001-01-01T00:00:00Z").since == 0
    assert container([]).since == 1767323045.678901


def test_whoever_is_asked_is_first_and_a_circle_is_a_plugins_fault() -> None:
    late, early = web("late.1", after=("early.1",)), web("early.1")
    assert [s.id for s in ordered((late, early))] == ["early.1", "late.1"]
    with pytest.raises(PluginError, match=r"wait for each other: early\.1, late\.1"):
        ordered((late, replace(early, start_after=("late.1",))))


def test_a_service_that_names_no_image_is_its_plugins_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Compose(Settings(), fake_stack(tmp_path))
    monkeypatch.setattr(runtime, "containers", list)
    with pytest.raises(PluginError, match=r"^plain\.1: no image to run it in"):
        runtime.changes((replace(web("plain.1"), image=""),))


def test_lines_are_whole_however_the_engine_cuts_them() -> None:
    assert list(split([b"one\ntw", b"o\n", b"\xffthree"])) == ["one", "two", "\ufffdthree"]


@pytest.mark.parametrize(("said", "new"), [("2.26.1-4", True), ("v2.20.0", True), ("5.0.1", True), ("1.29.2", False)])
def test_version_one_of_compose_is_refused(said: str, new: bool) -> None:
    assert (_numbers(said) >= OLDEST) is new


@pytest.mark.parametrize("said", ["docker-compose version 1.29.2, build 5becea4c", "1.29.2"])
def test_version_one_alone_is_refused_with_its_name(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: Sequence[str], **_how: object) -> Completed:
        there = argv[0] == "docker-compose"
        return Completed(tuple(argv), int(not there), said if there else "", "")

    monkeypatch.setattr("adaf_compose.program.run", run)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(PreconditionError, match=r"docker compose 2\.20 or newer: docker-compose is .*1\.29") as refused:
        _ = Program().argv
    assert "version 1 is another program" in refused.value.hint


def test_who_is_not_root_is_told_so_before_the_engine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    monkeypatch.setattr("adaf_compose.backend.os.geteuid", lambda: 1000)
    (found,) = Compose(Settings(), fake_stack(tmp_path, "name: shop\n")).doctor()
    assert not found.ok and "only root may run it" in found.what and found.hint.startswith("sudo inv")
