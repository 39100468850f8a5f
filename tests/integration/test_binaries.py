"""Programs that are missing, too old, too new, or no programs at all: found or refused before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from driving import Pipeline
from people import Person, refused

from adaf_local import supervisor
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.host import binaries
from adaf_pipeline.host.binaries import Binaries
from adaf_pipeline.process import Account
from adaf_pipeline.service import Binary

NAME = "adaf-fake-server"
OLD_CACHE = """
from dataclasses import replace

from adaf_pipeline.hooks import Backend, impl
from adaf_redis.backend import Redis


@impl
def adaf_backends():
    return [Backend("cache", "old", "adaf_loose_old:Old")]


class Old(Redis):
    def services(self):
        return tuple(
            replace(s, binaries=tuple(replace(b, supported=("1.0", "2.0")) for b in s.binaries)) for s in super().services()
        )
"""


def fake(folder: Path, body: str, name: str = NAME) -> Path:
    """A program of that body."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(body)
    program.chmod(0o755)
    return program


def says(version: str) -> str:
    return f"#!/bin/sh\necho 'fake server v={version} sha=0000'\n"


def wanted(low: str = "2.6", high: str = "3.3", *search: str) -> Binary:
    return Binary(NAME, "fake-package", (low, high), search)


def test_a_supported_program_is_found_and_started_once(tmp_path: Path) -> None:
    counter = tmp_path / "starts"
    program = fake(tmp_path / "bin", says("2.6.12-1") + f"echo x >>{counter}\n")
    found = Binaries(None, (program.parent,))
    assert [found.find(wanted()), found.find(wanted())] == [str(program)] * 2
    assert found.version(wanted()) == "2.6.12"
    assert counter.read_text() == "x\n"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (says("2.5.9"), "is 2.5.9, supported: 2.6 up to, but not, 3.3"),
        (says("3.3"), "is 3.3, supported"),
        (says("10.1"), "is 10.1, supported"),
        ("#!/bin/sh\necho nothing\n", "is of unknown version, supported"),
        (
            "#!/bin/sh\necho 'libssl.so.3: cannot open shared object file' >&2\nexit 127\n",
            "exits 127: libssl.so.3: cannot open shared object file, supported",
        ),
        ("#!/bin/sh\nexit 1\n", "exits 1: it printed nothing, supported"),
        ("not a program\n", "does not run: "),
        ("#!/no/such/interpreter\n", "does not run: "),
        ("#!/bin/sh\nsleep 60\n", "does not run: "),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    monkeypatch.setattr(binaries, "PATIENCE", 0.5)
    program = fake(tmp_path, body)
    with pytest.raises(PreconditionError) as caught:
        Binaries(None, (tmp_path,)).find(wanted())
    assert caught.value.message.startswith(f"{NAME}: {program} {why}")
    assert caught.value.hint == "install another fake-package"


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(PreconditionError, match=f"{NAME}: not found") as caught:
        Binaries(None).find(wanted())
    assert "apt-get install fake-package" in caught.value.hint


def test_the_newest_supported_of_several_wins_and_a_broken_one_is_passed_over(tmp_path: Path) -> None:
    for version in ("9", "10", "15", "17"):
        fake(tmp_path / version / "bin", says(version))
    fake(tmp_path / "16" / "bin", "not a program\n")
    binary = wanted("9", "17", f"{tmp_path}/*/bin")
    found = Binaries(None)
    assert found.find(binary) == str(tmp_path / "15" / "bin" / NAME)
    assert found.version(binary) == "15"


def test_one_program_by_two_ways_is_named_once(tmp_path: Path) -> None:
    fake(tmp_path / "usr" / "bin", says("1"))
    (tmp_path / "bin").symlink_to("usr/bin")
    with pytest.raises(PreconditionError) as caught:
        Binaries(None, (tmp_path / "usr" / "bin", tmp_path / "bin")).find(wanted())
    assert caught.value.message.count("is 1,") == 1


def test_what_path_names_relative_to_here_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "bin", says("3.0"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "bin:.:")
    with pytest.raises(PreconditionError, match="not found"):
        Binaries(None).find(wanted())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert Binaries(None).find(wanted()) == str(tmp_path / "bin" / NAME)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as another account")
def test_what_the_account_cannot_reach_is_passed_over(place: Path) -> None:
    nobody = Account("nobody", 65534, 65534, Path("/"))
    private, public = place / "private", place / "public"
    program = fake(public, says("3.0") + "id -u >&2\n")
    fake(private / "bin", says("3.1"))
    private.chmod(0o700)
    with pytest.raises(PreconditionError, match=f"{private}/bin/{NAME} cannot be run by nobody"):
        Binaries(nobody, (private / "bin",)).find(wanted())
    (private / "bin" / NAME).unlink()
    (private / "bin" / NAME).symlink_to(program)  # the way to it is closed, where it leads is not
    with pytest.raises(PreconditionError, match="cannot be run by nobody"):
        Binaries(nobody, (private / "bin",)).find(wanted())
    assert Binaries(nobody, (public,)).find(wanted()) == str(program)


def test_s6_is_looked_for_where_it_would_be_started_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    supervisor.check_installed()
    fake(tmp_path, "#!/bin/sh\n", "s6-svscan")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PreconditionError, match="s6-supervise: not found") as caught:
        supervisor.check_installed()
    assert caught.value.hint.startswith("apt-get install s6")


# ------------------------------------------------------------------------------------------------ the commands


def test_up_without_s6_says_so_and_makes_nothing(tmp_path: Path) -> None:
    lacking = Person(tmp_path, None)
    said = refused(lacking.run("up", PATH="/nowhere"), 6)
    assert "error: s6-svscan: not found" in said
    findings = lacking.run("doctor", "--json", PATH="/nowhere").document["findings"]
    assert [f["what"] for f in findings if f["role"] == "runtime" and not f["ok"]] == ["s6-svscan: not found"]
    assert not (lacking.state() / "secrets").exists()
    lacking.ok("down", "--purge")


def test_a_server_of_the_wrong_version_stops_up_before_anything_starts(checkout: Pipeline) -> None:
    plugins = checkout.folder / ".adaf" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "old.py").write_text(OLD_CACHE)
    checkout.configure("cache: old\n")
    done = checkout.run("up", "--json")
    assert done.code == 6
    message = done.document["error"]
    assert message.startswith("redis-server: /usr/") and "/redis-server is " in message
    assert message.endswith("supported: 1.0 up to, but not, 2.0")
    assert done.document["hint"] == "install another redis-server"
    assert not (checkout.state() / "s6").exists()
