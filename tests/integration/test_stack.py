"""The local stack itself: what is changed, what is killed, what is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from driving import Pipeline, until

from adaf_pipeline.process import start_time


def pids(pipeline: Pipeline) -> dict[str, int]:
    return {s["name"]: s["pid"] for s in pipeline.status()["services"]}


def test_up_shows_the_difference_and_restarts_only_what_it_must(pipeline: Pipeline) -> None:
    before = pids(pipeline)
    pipeline.configure("cache: {use: redis, memory_mb: 64}\n")
    try:
        plan = pipeline.ok("up", "--plan")
        shown = next(step["detail"] for step in plan["steps"] if step["id"] == "services")
        assert any("restart" in line and "cache.1" in line for line in shown)
        pipeline.ok("up")
        after = pids(pipeline)
        assert {name for name in before if before[name] != after[name]} == {"cache.1"}
    finally:
        pipeline.configure()
        pipeline.ok("up")


@pytest.mark.parametrize("service", ["database.1", "cache.1", "balancer.1", "proxy.1"])
def test_a_killed_service_comes_back_by_itself(pipeline: Pipeline, service: str) -> None:
    pid = pids(pipeline)[service]
    weights = pipeline.status()["weights"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: pids(pipeline)[service] not in (0, pid) and pipeline.status()["ok"], what=f"{service} to come back")
    assert pipeline.status()["weights"] == weights
    assert pipeline.get()[0] == 200


def test_a_killed_supervisor_leaves_no_second_process(pipeline: Pipeline) -> None:
    """kill -9 of an s6-supervise orphans its postgres; the next start ends that one first."""
    pid = pids(pipeline)["database.1"]
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert "s6-supervise" in Path(f"/proc/{parent}/comm").read_text()
    os.kill(parent, signal.SIGKILL)
    until(lambda: pids(pipeline)["database.1"] not in (0, pid), what="a new postmaster")
    until(lambda: start_time(pid) == 0, what="the old postmaster to end")
    until(lambda: pipeline.run("psql", "--command=select 1", "--json").code == 0, what="the database")


def test_a_killed_scanner_is_replaced_and_services_go_on(pipeline: Pipeline) -> None:
    before = pids(pipeline)
    scanner = int((pipeline.state() / "s6.pid").read_text().split()[0])
    os.kill(scanner, signal.SIGKILL)
    until(lambda: start_time(scanner) == 0, what="its end")
    pipeline.ok("up")
    assert pids(pipeline) == before
    assert int((pipeline.state() / "s6.pid").read_text().split()[0]) != scanner


def test_down_and_up_bring_back_what_was_live(pipeline: Pipeline) -> None:
    release, colour = pipeline.live()
    pipeline.ok("psql", "--command=create table if not exists kept as select 42 as answer")
    pipeline.ok("down")
    assert pipeline.status()["ok"] is False
    document = pipeline.ok("up")
    assert document["release"] == release
    assert pipeline.live() == (release, colour)
    assert pipeline.get() == (200, release)
    assert pipeline.ok("psql", "--command=select answer from kept")["rows"] == [[42]]


def test_two_checkouts_run_side_by_side_and_purge_leaves_nothing(pipeline: Pipeline, checkout: Pipeline) -> None:
    mine, other = pipeline.status(), checkout.ok("up")
    assert other["url"] != mine["url"]
    assert checkout.state() != pipeline.state()
    state = checkout.state()
    running = pids(checkout)
    checkout.ok("down", "--purge")
    assert not state.exists()
    assert all(start_time(pid) == 0 for pid in running.values())
    assert pipeline.status()["ok"]


def test_a_port_that_somebody_has_is_named_before_anything_starts(pipeline: Pipeline, checkout: Pipeline) -> None:
    port = int(pipeline.url.rpartition(":")[2])
    checkout.configure(f"proxy: {{use: nginx, port: {port}}}\n")
    done = checkout.run("up", "--json")
    assert done.code == 6
    assert f"port {port} of proxy.1 is taken by nginx (pid" in done.document["error"]
    checkout.configure("proxy: {port: 81}\n")
    done = checkout.run("up", "--json")
    assert done.code == 6 and "port 81 of proxy.1 is for root alone" in done.document["error"]
    assert not any(s["state"] == "up" for s in checkout.status()["services"])


def test_statements_and_commands_run_on_the_primary(pipeline: Pipeline) -> None:
    assert pipeline.ok("psql", "--command=select current_user, 1 + 1 as two") == pipeline.ok(
        "psql", "--command=select current_user, 1 + 1 as two"
    )
    assert pipeline.ok("redis", "--command=ping")["answer"] in ("PONG", True)
    done = pipeline.run("psql", "--command=select nothing", "--json")
    assert done.code == 1 and "nothing" in done.document["error"]


def test_logs_and_doctor(pipeline: Pipeline) -> None:
    done = pipeline.run("logs", "--service=proxy.1", "--lines=3")
    assert done.code == 0 and len(done.stdout.splitlines()) == 3
    assert len(pipeline.ok("logs", "--service=proxy.1", "--lines=2")["lines"]) == 2
    assert pipeline.run("logs", "--service=proxy.1", "--follow", "--json").code == 2
    assert pipeline.run("psql", "--json").code == 2
    done = pipeline.run("logs", "--service=nothing.1")
    assert done.code == 6 and "no service nothing.1" in done.stderr
    document = pipeline.ok("doctor")
    assert any(f["what"].startswith("postgres ") for f in document["findings"])


def test_no_secret_is_anywhere_but_in_its_file(pipeline: Pipeline) -> None:
    """Greps everything the stack wrote, and the argv and environment of everything that runs, for every secret."""
    state = pipeline.state()
    values = {}
    for file in (state / "secrets").rglob("*"):
        if file.is_file() and not file.is_symlink() and 20 <= file.stat().st_size < 200:
            values[file.read_text().strip()] = file
    assert len(values) >= 4
    for value in values:
        found = subprocess.run(
            ["grep", "-rlF", "--exclude-dir=secrets", "--exclude-dir=data", value, str(state), str(pipeline.folder)],
            capture_output=True,
            text=True,
        )
        assert found.stdout == "", found.stdout
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                body = (process / name).read_bytes()
            except OSError:
                continue
            assert not [v for v in values if v.encode() in body], f"{process}/{name}"


def test_secret_files_are_the_accounts_and_read_only(pipeline: Pipeline) -> None:
    files = [f for f in (pipeline.state() / "secrets").rglob("*") if f.is_file() and not f.is_symlink()]
    assert files
    assert {oct(f.stat().st_mode & 0o777) for f in files if f.stat().st_size} == {"0o400"}


def test_everything_runs_as_the_stacks_own_account(pipeline: Pipeline) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has another account to run things as")
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in pids(pipeline).values()}
    assert 0 not in owners and len(owners) == 1


def test_only_loopback_is_listened_on(pipeline: Pipeline) -> None:
    port = int(pipeline.url.rpartition(":")[2])
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1", "::1", "127.0.1.1"}
    for address in others:
        with pytest.raises(OSError):
            socket.create_connection((address, port), 1).close()
