"""What only files can get wrong; the contract of the role is in tests/contract."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adaf_files.backend import Files
from adaf_files.store import Store
from adaf_pipeline.errors import AdafError, PreconditionError
from adaf_pipeline.process import Account

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files that belong to somebody else")


def files(state: Path, account: Account | None = None, **settings: Any) -> Files:
    return Files(Files.Settings(**settings), SimpleNamespace(state=state, account=account))


@pytest.fixture
def made(tmp_path: Path) -> Files:
    store = files(tmp_path)
    store.ensure(["one"])
    return store


def test_directories_are_closed_and_values_read_only(made: Files) -> None:
    modes = {p.name: stat.S_IMODE(p.lstat().st_mode) for p in [made.directory, *made.directory.rglob("*")]}
    assert (modes["secrets"], modes["one"], modes["1"], modes[".lock"]) == (0o700, 0o700, 0o400, 0o600)


def test_the_umask_changes_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = files(tmp_path)
        store.ensure(["one"])
        assert all(finding.ok for finding in store.doctor())
    finally:
        os.umask(before)


def test_length_is_a_setting(tmp_path: Path) -> None:
    store = files(tmp_path, random_bytes=24)
    store.ensure(["one"])
    assert len(store.value("one")) == 32


def test_the_path_stays_when_the_value_changes(made: Files) -> None:
    path, folder = made.path("one"), made.directory / "one"
    (folder / "2").write_text("another")
    (folder / "2").chmod(0o400)
    (folder / "next").symlink_to("2")
    (folder / "next").rename(folder / "value")
    assert made.path("one") == path
    assert path.read_text() == made.value("one") == "another"
    assert made.names() == {"one": 2}


def test_many_at_once_agree(tmp_path: Path) -> None:
    answers: list[tuple[str, ...]] = []
    values: list[dict[str, str]] = []
    names = [f"s-{number}" for number in range(5)]
    barrier = threading.Barrier(8)

    def work() -> None:
        store = files(tmp_path)  # flock belongs to an open file, so that threads are as good as processes here
        barrier.wait()
        answers.append(store.ensure(names))
        values.append({name: store.value(name) for name in names})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for made in answers for name in made) == sorted(names)
    assert all(seen == values[0] for seen in values)


@pytest.mark.parametrize("left", ["", ".new", "1", "link"])
def test_a_killed_run_is_taken_up(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "secrets" / "one"
    folder.mkdir(parents=True)
    for made in (folder, folder.parent):
        made.chmod(0o700)
    if left == "link":
        (folder / ".new").symlink_to("1")
    elif left:
        (folder / left).write_text("x" * 32)
        (folder / left).chmod(0o400)
    store = files(tmp_path)
    assert store.ensure(["one"]) == ("one",)
    assert len(store.value("one")) >= 32
    assert (store.value("one") == "x" * 32) == (left == "1")


def test_it_does_not_guess_which_version_is_in_use(made: Files) -> None:
    (made.directory / "one" / "2").write_text("staged")
    (made.directory / "one" / "value").unlink()
    with pytest.raises(PreconditionError, match="none is current"):
        made.ensure(["one"])


def test_a_planted_link_is_not_followed(made: Files, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    target.chmod(0o400)
    value = made.directory / "one" / "value"
    for link in (str(target), "../../target", "one"):
        value.unlink()
        value.symlink_to(link)
        with pytest.raises(PreconditionError, match="not a link to one of its versions"):
            made.value("one")
    value.unlink()
    value.symlink_to("2")
    (value.parent / "2").symlink_to(target)
    with pytest.raises(PreconditionError, match="not what we put there"):
        made.path("one")
    assert [finding.ok for finding in made.doctor()] == [False]


def test_a_planted_directory_link_is_not_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "secrets").symlink_to(elsewhere)
    with pytest.raises(PreconditionError):
        files(tmp_path).ensure(["one"])
    (tmp_path / "secrets").unlink()
    store = files(tmp_path)
    store.ensure(["one"])
    (store.directory / "two").symlink_to(elsewhere)
    with pytest.raises(PreconditionError):
        store.ensure(["two"])
    assert list(elsewhere.iterdir()) == []


def test_a_fifo_does_not_block(made: Files) -> None:
    (made.directory / "one" / "1").unlink()
    os.mkfifo(made.directory / "one" / "1", 0o400)
    with pytest.raises(PreconditionError, match="not a file"):
        made.value("one")


@pytest.mark.parametrize("which", ["", "one", "one/1"])
def test_what_others_can_read_is_refused_and_named(made: Files, which: str) -> None:
    place = made.directory / which
    place.chmod(place.stat().st_mode | 0o044)
    with pytest.raises(PreconditionError, match="lets others in") as caught:
        made.value("one")
    assert caught.value.hint
    (finding,) = made.doctor()
    assert not finding.ok
    assert "chmod" in finding.hint


@root_only
@pytest.mark.parametrize("which", ["", "one", "one/1"])
def test_what_belongs_to_another_account_is_refused(made: Files, which: str) -> None:
    os.chown(made.directory / which, 4321, 4321)
    with pytest.raises(PreconditionError, match="belongs to uid 4321"):
        made.value("one")
    (finding,) = made.doctor()
    assert not finding.ok


@root_only
def test_root_gives_everything_to_the_account(tmp_path: Path) -> None:
    store = files(tmp_path, Account("somebody", 4321, 4321, tmp_path))
    store.ensure(["one", "two"])
    everything = [store.directory, *store.directory.rglob("*")]
    assert {p.stat().st_uid for p in everything} == {4321}
    assert store.value("one") == store.path("one").read_text()


@root_only
def test_what_a_killed_root_left_half_made_is_handed_over(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o700)
    store = files(tmp_path, Account("somebody", 4321, 4321, tmp_path))
    store.ensure(["one"])
    assert store.directory.stat().st_uid == 4321


def test_doctor_is_content_without_secrets(tmp_path: Path) -> None:
    (finding,) = files(tmp_path).doctor()
    assert finding.ok
    assert not (tmp_path / "secrets").exists()


def test_a_lock_that_is_not_given_back_is_an_error(made: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaf_files.handles.PATIENCE", 0.05)
    with Store(made.directory, None).locked(), pytest.raises(AdafError, match="another process"):
        made.ensure(["two"])
    assert made.ensure(["two"]) == ("two",)
