"""What tsc, pnpm and Next say, and version ranges."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adaf_nextjs import builder, failures, standalone, tsc, versions, workbench
from adaf_nextjs.project import Project
from adaf_nextjs.settings import Settings
from adaf_nextjs.tools import Node
from adaf_nextjs.workbench import Workbench
from adaf_pipeline.errors import AdafError, ConfigError, PreconditionError, ProcessError
from adaf_pipeline.roles import Problem, Workplace

PROJECT = Project(Path("/nowhere"), "apps/web", "web")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("", True),
        ("*", True),
        ("x", True),
        (">=20", True),
        (">=20.20.3", False),
        (">20", False),
        (">20.20", False),
        (">20.20.1", True),
        ("20", True),
        ("20.x", True),
        ("v20.20.2", True),
        ("=20.20.1", False),
        ("^20.9.0 || >=22", True),
        ("^18 || ^22", False),
        ("^20.21", False),
        ("~20.20.1", True),
        ("~20.19", False),
        ("~20", True),
        (">=18.17 <21", True),
        (">= 18.17 < 20", False),
        ("<20.20.2", False),
        ("<=20", True),
        ("18 - 20", True),
        ("16 - 18.1", False),
        ("^0.2.3", False),
        ("lts/iron", True),  # not ours to read
    ],
)
def test_ranges(wanted: str, fits: bool) -> None:
    assert versions.satisfies("20.20.2", wanted) is fits


@pytest.mark.parametrize(
    ("wanted", "low", "high"), [("^0.2.3", "0.2.9", "0.3.0"), ("^0.0.3", "0.0.3", "0.0.4"), ("^1.2", "1.9.9", "2.0.0")]
)
def test_carets(wanted: str, low: str, high: str) -> None:
    assert versions.satisfies(low, wanted) and not versions.satisfies(high, wanted)


def test_exact() -> None:
    assert all(map(versions.exact, ("10.34.9", "11.0.0-rc.1")))
    assert not any(map(versions.exact, ("10", "10.1", "^10.1.0", "latest", "10.1.0 --x", "")))


# ---------------------------------------------------------------------------------------------------- tsc


def test_problems() -> None:
    said = """\
app/page.tsx(12,5): error TS2322: Type 'string' is not assignable to type 'number'.
  The expected type comes from property 'a'
app/(group)/[id]/page.tsx(3,14): error TS2304: Cannot find name 'x(1,2)'.
error TS18003: No inputs were found in config file 'tsconfig.json'.
tsconfig.json(4,3): error TS5023: Unknown compiler option 'stric'.
Found 2 errors.
"""
    assert tsc.parse(said.splitlines()) == (
        Problem("app/page.tsx", 12, "TS2322", "Type 'string' is not assignable to type 'number'."),
        Problem("app/(group)/[id]/page.tsx", 3, "TS2304", "Cannot find name 'x(1,2)'."),
        Problem("tsconfig.json", 0, "TS18003", "No inputs were found in config file 'tsconfig.json'."),
        Problem("tsconfig.json", 4, "TS5023", "Unknown compiler option 'stric'."),
    )


class Bench:
    """A Workbench that only remembers; ``fail`` is what a program says before it fails."""

    def __init__(self, root: Path, *there: str, fail: dict[str, str] | None = None) -> None:
        self.ran: list[str] = []
        self.told: list[str] = []
        self.fail = fail or {}
        for name in there:
            (root / "work" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "work" / name).touch()
        (root / "output").mkdir(exist_ok=True)
        self.pnpm, self.store, self.node = Path("/t/pnpm"), Path("/t/store"), SimpleNamespace(version="20.20.2")
        self.place = SimpleNamespace(progress=self.told.append, source=root / "work", output=root / "output")

    def has(self, name: str) -> bool:
        return bool((self.place.source / name).exists())

    def quietly(self, *argv: str, stdin: bytes = b"") -> None:
        self.ran.append(" ".join(argv))

    def stream(self, *argv: str, said: Any = lambda _line: None, **_more: object) -> None:
        command = " ".join(argv)
        self.ran.append(command)
        for key, lines in self.fail.items():
            if key in command:
                for line in lines.splitlines():
                    said(line)
                raise ProcessError(f"{Path(argv[0]).name} exited 2", "the whole output: log", detail=lines.splitlines())

    @property
    def real(self) -> Workbench:
        return cast(Workbench, self)


NEXT_155 = ("tsconfig.json", "node_modules/.bin/tsc", "node_modules/next/dist/cli/next-typegen.js")


def test_types_are_checked_with_what_next_generates(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *NEXT_155)
    assert tsc.check(bench.real, "apps/web") == ()
    assert bench.ran == [
        "rm -rf -- .next/types",
        "node_modules/.bin/next typegen",
        "node_modules/.bin/tsc --noEmit --pretty false",
    ]


def test_older_nexts_get_their_environment_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *NEXT_155[:2])
    tsc.check(bench.real, "apps/web")
    assert bench.ran[1] == "tee next-env.d.ts"


def test_plain_javascript_has_no_types(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "package.json")
    assert tsc.check(bench.real, "apps/web") == ()
    assert bench.told == ["no tsconfig.json: there are no types to check"] and not bench.ran


def test_typescript_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError) as caught:
        tsc.check(Bench(tmp_path, "tsconfig.json").real, "apps/web")
    assert (caught.value.message, caught.value.hint) == (
        "apps/web: typescript is not among its packages",
        "pnpm add --save-dev typescript",
    )


def test_type_errors_are_problems_and_a_crash_is_an_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *NEXT_155, fail={"tsc": "a.ts(1,2): error TS1: No."})
    assert tsc.check(bench.real, "apps/web") == (Problem("a.ts", 1, "TS1", "No."),)
    crash = Bench(tmp_path, *NEXT_155, fail={"tsc": "\n".join(["Segmentation fault"] * 30)})
    with pytest.raises(ProcessError) as caught:
        tsc.check(crash.real, "apps/web")
    assert caught.value.message == "tsc exited 2" and len(caught.value.detail) == 15


# ------------------------------------------------------------------------------------------------- failures

STALE = """\
 ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up to date with package.json

Note that in CI environments this setting is true by default.

  Failure reason:
  specifiers in the lockfile don't match specifiers in package.json:
* 1 dependencies are mismatched:
  - pg (lockfile: 8.23.1, manifest: 8.23.0)
"""
MISMATCH = ' ERR_PNPM_LOCKFILE_CONFIG_MISMATCH  Cannot proceed: the "overrides" configuration doesn\'t match\n'
BROKEN = ' ERR_PNPM_BROKEN_LOCKFILE  The lockfile at "/x/pnpm-lock.yaml" is broken\n\n 1 | ]]}\n-----^\n'
REFUSED = "Packages: +37\n++++\n ECONNREFUSED  request to http://registry.invalid/a.tgz failed\n    at x (y.js:1)\n"
INTEGRITY = " ERR_PNPM_TARBALL_INTEGRITY  Got unexpected checksum\n"


@pytest.mark.parametrize(
    ("said", "kind", "message", "hint"),
    [
        (STALE, PreconditionError, "pnpm-lock.yaml is not up to date with package.json", "--no-frozen-lockfile, and"),
        (MISMATCH, PreconditionError, "pnpm-lock.yaml is not up to date", "pnpm --dir web install"),
        (BROKEN, PreconditionError, "pnpm 10.34.9 cannot read pnpm-lock.yaml", "git checkout -- web/pnpm-lock.yaml"),
        (REFUSED, ProcessError, "over the network: ECONNREFUSED request to http", "HTTPS_PROXY"),
        (INTEGRITY, ProcessError, "a package is not what pnpm-lock.yaml says", "do not go on"),
        (" ENOSPC  no space left on device\n", PreconditionError, "the disk is full", "df -h"),
        (
            " ERR_PNPM_NEW  Something else\n",
            ProcessError,
            "pnpm exited 2: ERR_PNPM_NEW Something else",
            "the whole output",
        ),
        ("", ProcessError, "pnpm exited 2: it printed nothing", "the whole output"),
    ],
)
def test_failures_of_an_installation(tmp_path: Path, said: str, kind: type[AdafError], message: str, hint: str) -> None:
    bench = Bench(tmp_path, fail={"install": said})
    with pytest.raises(AdafError) as caught:
        builder.install(bench.real, PROJECT, "10.34.9")
    assert type(caught.value) is kind
    assert caught.value.message.startswith("apps/web: ") and message in caught.value.message
    assert hint in caught.value.hint


def test_a_stale_lock_says_what_differs(tmp_path: Path) -> None:
    error = failures.install(PROJECT, "10", ProcessError("x", detail=STALE.splitlines()))
    assert error.detail == ("- pg (lockfile: 8.23.1, manifest: 8.23.0)",)


TYPE_ERROR = """\
   Creating an optimized production build ...
 ✓ Compiled successfully in 31.2s
   Checking validity of types ...
Failed to compile.

./app/page.tsx:9:7
Type error: Type 'string' is not assignable to type 'number'.

   7 |
>  9 | const n: number = "x";
Next.js build worker exited with code: 1 and signal: null
 ELIFECYCLE  Command failed with exit code 1.
"""
NOT_FOUND = """\
Failed to compile.

./app/page.tsx
Module not found: Can't resolve './gone'

https://nextjs.org/docs/messages/module-not-found
 ELIFECYCLE  Command failed with exit code 1.
"""
PRERENDER = """\
Error occurred prerendering page "/about". Read more: https://nextjs.org/docs/messages/prerender-error
Error: no database
    at a (b.js:1:2)
"""


@pytest.mark.parametrize(
    ("said", "kind", "message", "hint"),
    [
        (
            TYPE_ERROR,
            ProcessError,
            "apps/web: next build: type error in app/page.tsx:9:7: Type 'string' is not assignable to type 'number'.",
            "mend it; `inv typecheck` lists all of them",
        ),
        (
            NOT_FOUND,
            ProcessError,
            "apps/web: next build failed to compile: ./app/page.tsx Module not found: Can't resolve './gone'",
            "the whole output: log",
        ),
        (PRERENDER, ProcessError, "apps/web: next build: page /about fails when it is rendered at build time", "force"),
        (
            "FATAL ERROR: JavaScript heap out of memory",
            PreconditionError,
            "next build ran out of memory",
            "NODE_OPTIONS",
        ),
        ("Error: NEXT_PUBLIC_API is not set", ProcessError, "Error: NEXT_PUBLIC_API is not set", "the whole output"),
    ],
)
def test_failures_of_a_build(said: str, kind: type[AdafError], message: str, hint: str) -> None:
    error = failures.build(PROJECT, ProcessError("pnpm exited 1", "the whole output: log", detail=said.splitlines()))
    assert type(error) is kind and message in error.message and hint in error.hint
    assert not any("ELIFECYCLE" in line for line in error.detail)


def test_few_lines_are_progress(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"next": "15"}, "scripts": {"build": "x"}}')
    said = """\
> next build
 ⚠ No build cache found. Please configure it
 ⚠ The "images" option is deprecated
   ▲ Next.js 15.5.29
   Creating an optimized production build ...
 ✓ Compiled successfully in 31.2s
   Generating static pages (0/4) ...
 ✓ Generating static pages (4/4)
   Collecting build traces ...
┌ ƒ /                                      138 B         102 kB
"""
    bench = Bench(tmp_path, fail={"run build": said})
    with pytest.raises(ProcessError):
        builder.build(bench.real, Project(tmp_path, "apps/web", "."), Settings())
    assert bench.told == [
        '⚠ The "images" option is deprecated',
        "Creating an optimized production build ...",
        "Compiled successfully in 31.2s",
        "Generating static pages (4/4)",
        "Collecting build traces ...",
    ]


def test_without_a_build_script_next_is_run(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"next": "15"}}')
    bench = Bench(tmp_path, ".next/standalone/server.js")
    builder.build(bench.real, Project(tmp_path, "apps/web", "."), Settings())
    assert "/t/pnpm exec next build" in bench.ran


# ---------------------------------------------------------------------------------------------- standalone


def copied(bench: Bench) -> list[str]:
    return [line.replace(str(bench.place.output), "OUT") for line in bench.ran]


def test_assembling(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, ".next/standalone/server.js", "public/a.txt", "entry.cjs", "mail/a.html", "migrations/1.sql"
    )
    standalone.assemble(bench.real, Settings(entry="entry.cjs", include=("mail/", "entry.cjs")), "apps/web")
    assert copied(bench) == [
        "cp -a -- .next/standalone/. OUT/",
        "mkdir -p -- OUT/.next",
        "cp -a -- .next/static OUT/.next/",
        "cp -a -- public OUT/",
        "cp -a --parents -- entry.cjs mail migrations OUT/",
    ]


def test_a_server_further_down(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ".next/standalone/web/work/server.js")
    standalone.assemble(bench.real, Settings(), "apps/web")
    assert copied(bench)[0] == "cp -a -- .next/standalone/web/work/. OUT/"


def test_files_above_the_application(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ".next/standalone/web/work/server.js", ".next/standalone/node_modules/x.js")
    with pytest.raises(ConfigError) as caught:
        standalone.assemble(bench.real, Settings(), "apps/web")
    assert caught.value.message == "apps/web: .next/standalone holds node_modules, web beside the application"
    assert "outputFileTracingRoot" in caught.value.hint


def test_no_standalone_server(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "next.config.ts")
    with pytest.raises(ConfigError) as caught:
        standalone.assemble(bench.real, Settings(), "apps/web")
    assert caught.value.message == "apps/web: no standalone server: next build made no .next/standalone"
    assert caught.value.hint == 'set  output: "standalone"  in next.config.ts'


def test_an_included_file_that_the_build_removed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ".next/standalone/server.js")
    with pytest.raises(PreconditionError, match=r"apps/web: entry\.cjs was there before the build"):
        standalone.assemble(bench.real, Settings(entry="entry.cjs"), "apps/web")


# ------------------------------------------------------------------------------------------------ workbench


def bench_of(tmp_path: Path, **environment: str) -> Workbench:
    place = Workplace(tmp_path, tmp_path / "output", tmp_path / "log", print)
    pnpm = Path("/t/pnpm/10.0.0/bin/pnpm")
    return Workbench(place, None, Node(Path("/t/bin/node"), "20.0.0"), pnpm, tmp_path / "store", environment)


def test_the_surroundings_are_not_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "secret")
    found = bench_of(tmp_path, NEXT_PUBLIC_A="1", HOME="/elsewhere").surroundings()
    assert "PLANTED" not in found and found["NEXT_PUBLIC_A"] == "1"
    assert found["PATH"] == "/t/pnpm/10.0.0/bin:/t/bin:/usr/local/bin:/usr/bin:/bin"
    assert found["HOME"] == str(tmp_path / ".adaf-home")
    assert (found["CI"], found["NEXT_TELEMETRY_DISABLED"]) == ("1", "1")
    assert found["npm_config_manage_package_manager_versions"] == "false"


def test_a_failure_carries_the_last_lines_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(_argv: object, _log: object, *, line: Any, **_more: object) -> None:
        for number in range(500):
            line(f"\x1b[31mline {number}\x1b[0m")
        raise ProcessError("next exited 1", "the whole output: log", detail=["short"])

    monkeypatch.setattr(workbench, "stream", stream)
    with pytest.raises(ProcessError) as caught:
        bench_of(tmp_path).stream("next", timeout=1)
    assert caught.value.detail[-1] == "line 499" and len(caught.value.detail) == workbench.KEPT
