"""An application that is copied, and the contract that it and the real backends keep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adaf_pipeline.errors import AdafError, PreconditionError, ProcessError
from adaf_pipeline.roles import App, Fault, Locked, Migrations, Problem, Workplace
from adaf_pipeline.service import Port, Probe, Service, argv


class FakeApp(App):
    """Copies its folder. Tests set ``problems`` (type errors), ``failure`` (of the build) and ``faults`` (of the lock)."""

    def __init__(self, settings: Any, stack: Any) -> None:
        super().__init__(settings, stack)
        self.problems: tuple[Problem, ...] = ()
        self.failure = ""
        self.faults: tuple[Fault, ...] = ()
        self.builds = 0

    def check(self) -> None:
        return

    def locked(self) -> Locked:
        return Locked("a fake lock", self.faults)

    def inputs(self) -> tuple[str, ...]:
        files = (p.relative_to(self.path) for p in self.path.rglob("*") if p.is_file())
        return tuple(sorted(p.as_posix() for p in files if not any(part.startswith(".") for part in p.parts)))

    def toolchain(self) -> Mapping[str, str]:
        return {"fake": "1"}

    def typecheck(self, place: Workplace) -> tuple[Problem, ...]:
        return self.problems

    def build(self, place: Workplace) -> None:
        self.builds += 1
        if self.failure:
            raise ProcessError(self.failure, "the fake was told to fail: `failure`")
        for name in self.inputs():
            target = place.output / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((place.source / name).read_bytes())

    def service(self, colour: str, number: int, release: str) -> Service:
        name = f"{self.name}.{colour}.{number}"
        return Service(
            name,
            "app",
            argv("app"),
            image="python",
            ports=(Port("http"),),
            ready=Probe("http", http="/"),
            package=release,
            colour=colour,
            stop_grace=0,
        )

    def worker(self, name: str, command: tuple[str, ...], release: str) -> Service:
        return Service(f"{self.name}.{name}.1", "worker", argv(*command), image="python", package=release)

    def migrations(self, artefact: Path, release: str) -> Migrations:
        return Migrations(files=tuple(sorted((artefact / "migrations").glob("*.sql"))))


class AppContract:
    """Run against every backend of the role. Override ``app`` with one whose sources are sound, in a folder of the test.

    ``edit`` is a file that its artefact depends on. ``wrong`` makes its sources such that nothing can be built of them.
    ``builds`` is False where a build needs more than this process: then something else has to hold what it promises.
    """

    edit = "main.txt"
    builds = True

    @pytest.fixture
    def app(self, tmp_path: Path) -> App:
        raise NotImplementedError

    def wrong(self, app: App) -> None:
        """Make the sources such that ``check``, or ``build`` where nothing can be known before, refuses them."""
        raise NotImplementedError

    @staticmethod
    def place(app: App, folder: Path) -> Workplace:
        """Where the workflow would build it."""
        for name in app.inputs():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((app.path / name).read_bytes())
        (folder / "output").mkdir()
        return Workplace(folder / "source", folder / "output", folder / "log", lambda _message: None)

    def built(self, app: App, folder: Path) -> dict[str, bytes]:
        """The files of an artefact."""
        folder.mkdir()
        place = self.place(app, folder)
        app.build(place)
        return {p.relative_to(place.output).as_posix(): p.read_bytes() for p in place.output.rglob("*") if p.is_file()}

    def test_sound_sources_pass_the_check_which_changes_nothing(self, app: App) -> None:
        """`check`: refuses what cannot be built, before anything is installed; so it is a pure read."""
        before = {p: p.stat().st_mtime_ns for p in app.path.rglob("*")}
        app.check()
        assert {p: p.stat().st_mtime_ns for p in app.path.rglob("*")} == before

    def test_what_cannot_be_built_is_refused_with_a_hint(self, app: App, tmp_path: Path) -> None:
        """`check` or, at the latest, `build`: an AdafError that names the application or its file, never a traceback."""
        self.wrong(app)
        with pytest.raises(AdafError) as caught:
            app.check()
            self.built(app, tmp_path / "refused")
        assert caught.value.message
        assert caught.value.hint or isinstance(caught.value, ProcessError)

    def test_how_it_is_locked_is_read_and_each_fault_has_a_way_out(self, app: App) -> None:
        """`locked`: a pure read, too; what it finds wrong comes with what to do, and says nothing twice."""
        before = {p: p.stat().st_mtime_ns for p in app.path.rglob("*")}
        found = app.locked()
        assert {p: p.stat().st_mtime_ns for p in app.path.rglob("*")} == before
        assert all(fault.what and fault.hint for fault in found.faults)
        assert len({fault.what for fault in found.faults}) == len(found.faults)

    def test_inputs_are_relative_sorted_files_and_the_same_each_time(self, app: App) -> None:
        """`inputs`: relative paths of every file the artefact depends on, sorted."""
        found = app.inputs()
        assert found == tuple(sorted(set(found))) == app.inputs()
        assert self.edit in found
        assert all(not Path(name).is_absolute() and ".." not in Path(name).parts for name in found)
        assert all((app.path / name).is_file() or (app.path / name).is_symlink() for name in found)

    def test_a_new_file_is_an_input_and_what_git_keeps_is_none(self, app: App) -> None:
        """`inputs`: every file, and none that says nothing of the artefact (or a commit would change the release)."""
        before = app.inputs()
        (app.path / ".git").mkdir()
        (app.path / ".git" / "HEAD").write_text("ref\n")
        assert app.inputs() == before
        new = (app.path / self.edit).with_name("one-more.txt")
        new.write_text("more\n")
        assert set(app.inputs()) - set(before) == {new.relative_to(app.path).as_posix()}

    def test_the_toolchain_is_words_and_the_same_each_time(self, app: App) -> None:
        """`toolchain`: versions and settings that belong to the hash of the inputs, so strings, and no clock in them."""
        found = dict(app.toolchain())
        assert found == dict(app.toolchain())
        assert found
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in found.items())

    def test_a_build_fills_its_output_and_touches_no_source(self, app: App, tmp_path: Path) -> None:
        """`build`: assembles a runnable tree in ``place.output``; the checkout is not its place."""
        if not self.builds:
            pytest.skip("its build needs more than this process")
        before = {name: (app.path / name).read_bytes() for name in app.inputs()}
        assert self.built(app, tmp_path / "built")
        assert {name: (app.path / name).read_bytes() for name in app.inputs()} == before

    def test_equal_inputs_give_an_equal_artefact_and_others_another(self, app: App, tmp_path: Path) -> None:
        """`inputs` and `build`: whoever changes an input gets another release, and nobody else does."""
        if not self.builds:
            pytest.skip("its build needs more than this process")
        first, again = self.built(app, tmp_path / "first"), self.built(app, tmp_path / "again")
        assert first == again
        with open(app.path / self.edit, "a") as body:
            body.write("\n")
        assert self.built(app, tmp_path / "other") != first

    def test_a_colour_is_a_service_that_can_be_told_from_the_other(self, app: App) -> None:
        """`service`: ``{app}.{colour}.{number}`` of the role ``app`` runs the release's package in one colour."""
        blue, green = app.service("blue", 1, "r1"), app.service("green", 1, "r1")
        assert (blue.id, green.id) == (f"{app.name}.blue.1", f"{app.name}.green.1")
        for service, colour in ((blue, "blue"), (green, "green")):
            assert (service.role, service.colour, service.package) == ("app", colour, "r1")
            assert not service.job
        assert app.service("blue", 2, "r1").id == f"{app.name}.blue.2"

    def test_a_colour_says_where_it_is_asked_and_when_it_is_ready(self, app: App) -> None:
        """`service`: the balancer looks for the port ``http``; a deploy waits for its readiness, by HTTP."""
        service = app.service("blue", 1, "r1")
        assert "http" in {port.name for port in service.ports}
        assert service.ready is not None
        assert service.ready.http.startswith("/")

    def test_a_service_is_a_function_of_colour_number_and_release(self, app: App) -> None:
        """`service`: the same words give the same digest (nothing is restarted for nothing), another release another."""
        assert app.service("blue", 1, "r1").digest() == app.service("blue", 1, "r1").digest()
        assert app.service("blue", 1, "r1").digest() != app.service("blue", 1, "r2").digest()

    def test_sound_sources_have_no_type_errors(self, app: App, tmp_path: Path) -> None:
        """`typecheck`: every type error; () when clean."""
        if not self.builds:
            pytest.skip("its type check needs more than this process")
        assert app.typecheck(self.place(app, tmp_path)) == ()

    def test_a_worker_runs_beside_the_colours_or_is_refused(self, app: App) -> None:
        """`worker`: ``{app}.{name}.1`` of the role ``worker``, without colour and port; a backend may have none."""
        try:
            mail = app.worker("mail", ("worker", "--queue", "mail"), "r1")
        except PreconditionError as exc:
            assert "mail" in exc.message and exc.hint
            return
        assert (mail.id, mail.role, mail.package) == (f"{app.name}.mail.1", "worker", "r1")
        assert (mail.colour, mail.ports, mail.job) == ("", (), False)
        assert app.worker("mail", ("worker", "--queue", "mail"), "r2").digest() != mail.digest()

    def test_a_release_without_migrations_has_none(self, app: App, tmp_path: Path) -> None:
        """`migrations`: what has to be applied before the release runs; nothing, where it brings nothing."""
        found = app.migrations(tmp_path, "r1")
        assert (found.job, found.files) == (None, ())

    def test_sql_files_are_applied_in_the_order_of_their_names(self, app: App, tmp_path: Path) -> None:
        """`migrations`: plain SQL files in order, out of the artefact and not out of the checkout."""
        folder = tmp_path / "artefact" / "migrations"
        folder.mkdir(parents=True)
        for name in ("0002_b.sql", "0010_c.sql", "0001_a.sql", "README.md"):
            (folder / name).write_text("SELECT 1;\n")
        found = app.migrations(tmp_path / "artefact", "r1")
        if found.job is not None:
            pytest.skip("it migrates by a command of its own")
        assert [file.name for file in found.files] == ["0001_a.sql", "0002_b.sql", "0010_c.sql"]
        assert all(file.is_relative_to(folder) for file in found.files)
