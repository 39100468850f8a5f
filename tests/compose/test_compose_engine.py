"""ci/engine on this machine: an engine comes back after a power cut, and leaves nothing."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from driving import until
from engines import docker, own, reached

from private_engine import traces
from private_engine.engine import Engine


def smallest() -> bytes:
    """A root file system with `sleep` alone."""
    program = Path(shutil.which("sleep") or "/bin/sleep").resolve()
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    needed = [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    body = BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        tar.dereference = True
        for file in (str(program), *needed):
            tar.add(file)
    return body.getvalue()


def imported() -> None:
    if not docker("image", "ls", "-q", "smallest"):
        docker("import", "-", "smallest", given=smallest())


def test_a_power_cut_and_then_nothing_is_left(second: Engine) -> None:
    program = str(Path(shutil.which("sleep") or "/bin/sleep").resolve())
    shared, settings = traces.shared(), traces.settings()
    with reached(second):
        imported()
        docker("network", "create", "lane")
        docker(
            "run",
            "-d",
            "--name=kept",
            "--restart=always",
            "--network=lane",
            "-p=127.0.0.1:20999:80",
            "smallest",
            program,
            "900",
        )
        pid = int(docker("inspect", "--format", "{{.State.Pid}}", "kept"))
        assert pid in traces.grouped(second.group) and traces.mounts(second.place)
        second.cut()
        assert not second.answers() and traces.grouped(second.group) == []
        assert traces.mounts(second.place) == [str(second.netns)]
        own(second.place, apart=True)
        until(lambda: docker("container", "ls", "--format", "{{.Names}}") == "kept", 20, "the container to be back")
        assert int(docker("inspect", "--format", "{{.State.Pid}}", "kept")) != pid
    second.stop()
    assert second.left() == [] and not second.answers()
    assert traces.shared() == shared and traces.settings() == settings
    for top in ("/proc/self/mountinfo", "/proc/net/unix"):
        assert str(second.place) not in Path(top).read_text()


def test_it_is_stopped_when_its_daemon_was_killed(second: Engine) -> None:
    """What a killed run left is gone with the next stop; a container that would come back is not there any more."""
    with reached(second):
        imported()
        program = str(Path(shutil.which("sleep") or "/bin/sleep").resolve())
        docker("run", "-d", "--name=left", "--restart=always", "--stop-signal=KILL", "smallest", program, "900")
        traces.kill([int(second.pidfile.read_text())])
        second.stop()
        assert second.left() == []
        own(second.place, apart=True)
        assert docker("container", "ls", "-aq") == ""


def test_a_second_engine_beside_another_is_refused(engine: None, tmp_path: Path) -> None:
    if not any(" -N DOCKER" in line for line in traces.rules([], Engine(tmp_path).env)["iptables"]):
        pytest.skip("the engine here has no rules of the kind that two would share")
    with pytest.raises(AssertionError, match="another engine has its firewall rules here"):
        own(tmp_path, apart=False)
