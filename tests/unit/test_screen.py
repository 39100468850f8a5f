"""What people see of a run: the live frame and the story at several sizes, and the lines of a log."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

from adaf_pipeline.engine import Engine
from adaf_pipeline.event import Event, EventKind
from adaf_pipeline.requests import DeployRequest
from adaf_pipeline.stack import Stack
from adaf_pipeline.tasks.board import Board
from adaf_pipeline.tasks.console import Screen, console, open_screen
from adaf_pipeline.tasks.drawing import Paper, clock, frame, story
from adaf_pipeline.tasks.live import LiveScreen

STEPS = {
    "secrets": "every password is generated",
    "services": "what adaf.yaml describes runs",
    "database": "the application's role exists",
    "share": "what is live",
    "typecheck": "no release of web with type errors",
    "build": "build web from inputs 0123456789ab",
    "preflight": "blue serves and answers",
    "migrate": "the schema has what the release needs",
    "start-green": "the release starts beside what serves, as web.green.1",
    "ready": "3 readiness answers in a row",
    "canary-5": "5 % of the visitors for 20 s or more, then a verdict",
    "canary-25": "25 % of the visitors for 20 s or more, then a verdict",
    "full": "all visitors to green",
    "bake": "watched for 20 s at 100 %",
    "confirm": "from here on the release counts as good; blue stays warm",
}
REASON = (
    "green failed 0 of 62 visitors, blue 0 of 1,203 meanwhile: green's rate may be up to 4.7 % at 95 % confidence "
    "(limit 5 %)"
)


class Run:
    """A deploy whose events a test tells, with a clock that it sets."""

    def __init__(self, hold: bool = False) -> None:
        self.now, self.seq = 0.0, 0
        self.board = Board(clock=lambda: self.now)
        self.observers: list[Callable[[Event], None]] = [self.board.tell]
        self.hold = hold

    def tell(self, kind: EventKind, step: str = "", message: str = "", **data: Any) -> None:
        self.seq += 1
        for observer in self.observers:
            observer(Event("20261125T174412Z-deploy-5914", self.seq, self.now, kind, step, message, data))

    def to(self, last: str) -> Run:
        """Every step before ``last`` is done, each in a second, and that one has begun."""
        self.tell("run", request={"task": "deploy", "hold": self.hold})
        facts = {"live": "blue", "idle": "green", "release": "", "share": {"blue": 100.0, "green": 0.0}}
        self.tell("facts", facts=facts)
        names = list(STEPS)
        self.tell("plan", message="to green: 5 -> 25 -> 100 %", steps=names, why=list(STEPS.values()), pivot="confirm")
        for number, name in enumerate(names, 1):
            self.tell("begin", name, STEPS[name], number=number, of=len(names))
            if name == last:
                break
            self.now += 1
            output = {"release": "3f9a77c0d1e2"} if name == "build" else {}
            self.tell("done", name, f"{name} is done", output=output, seconds=1.0)
        return self

    def watched(self, seconds: float, **more: Any) -> Run:
        step = self.board.now.id if self.board.now else ""
        served = {"blue": {"requests": 1203, "failed": 0}, "green": {"requests": 62, "failed": 3}}
        watch = {"step": step, "seconds": seconds, "window": 20.0, "limit": 60.0, "hold": self.hold, "served": served}
        watch |= {"share": {"blue": 95.0, "green": 5.0}, "probes": {"sent": 1044, "lost": 0, "duplicated": 0}}
        watch |= {"outcome": "not enough data", "reason": REASON, **more}
        self.now += seconds
        self.tell("progress", step, f"canary at 5 %: {seconds:g} of 20 s, {REASON}", watch=watch)
        return self

    def failed(self) -> Run:
        self.tell("failed", "canary-5", "canary at 5 %: green failed 3 of 62 visitors", hint="", seconds=12.0)
        self.tell("undo", "canary-5", "all visitors back to blue")
        self.tell("undone", "canary-5", output={"share": {"blue": 100.0, "green": 0.0}})
        self.tell("undo", "start-green", "stop web.green.1")
        return self


def text(lines: list[Any]) -> list[str]:
    return [line.plain for line in lines]


def test_a_frame_of_80_columns_and_24_rows() -> None:
    assert text(frame(Run().to("canary-5").watched(12).board, Paper(80, 24))) == [
        "deploy to green: 5 -> 25 -> 100 %                                          22 s",
        "",
        "  ✓ 4 done: secrets, services, database, share                            4.0 s",
        "  ✓ typecheck     typecheck is done                                       1.0 s",
        "  ✓ build         build is done                                           1.0 s",
        "  ✓ preflight     preflight is done                                       1.0 s",
        "  ✓ migrate       migrate is done                                         1.0 s",
        "  ✓ start-green   start-green is done                                     1.0 s",
        "  ✓ ready         ready is done                                           1.0 s",
        "  ▸ canary-5      5 % of the visitors for 20 s or more, then a verdict     12 s",
        "  · canary-25     25 % of the visitors for 20 s or more, then a verdict",
        "  · full          all visitors to green",
        "  · bake          watched for 20 s at 100 %",
        "  · confirm       from here on the release counts as good; blue stays warm",
        "",
        "             share    requests   failed",
        "  blue        95 %       1,203        0   serves",
        "  green        5 %          62        3   release 3f9a77c0d1e2",
        "  probes                 1,044        0   failed = lost; 0 doubled",
        "  so far  not enough data: green failed 0 of 62 visitors, blue 0 of 1,203",
        "          meanwhile: green's rate may be up to 4.7 % at 95 % confidence (limit",
        "          5 %)",
        "  waits   12 s of 20 s for a verdict",
        "  act     inv promote (to 100 %), inv rollback in another shell; Ctrl-C here",
    ]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [4, 8, 12, 24, 25, 60])
@pytest.mark.parametrize("step", ["secrets", "canary-5", "full", "confirm"])
def test_a_frame_always_fits_and_shows_what_runs(width: int, height: int, step: str) -> None:
    run = Run().to(step)
    for then in (lambda: run, lambda: run.watched(5), lambda: run.failed() if step == "canary-5" else run):
        board = then().board
        lines = frame(board, Paper(width, height))
        assert len(lines) <= height
        assert max(line.cell_len for line in lines) < width
        if height >= 12 and width >= 60 and board.now is not None:
            assert any(line.startswith(("  ▸ ", "  ↶ ")) and board.now.id in line for line in text(lines))


def test_a_held_step_says_for_how_long_and_what_goes_on() -> None:
    lines = text(frame(Run(hold=True).to("canary-5").watched(192).board, Paper(80, 24)))
    assert "  waits   for `inv promote`, for 3:12 so far; it is watched all the while" in lines
    assert "  act     inv promote (next step), inv rollback in another shell; Ctrl-C here" in lines


def test_a_verdict_that_takes_longer_says_until_when() -> None:
    lines = text(frame(Run().to("canary-5").watched(31).board, Paper(80, 24)))
    assert "  waits   31 s, at most 1:00, for a verdict: too few visitors yet" in lines


def test_an_undo_says_that_it_cannot_be_stopped_and_offers_nothing_else() -> None:
    run = Run().to("canary-5").watched(12).failed()
    run.tell("progress", "", "SIGINT noted: undoing, this ends by itself")
    lines = text(frame(run.board, Paper(80, 24)))
    assert lines[0].startswith("deploy to green") and lines[0].endswith("undoing, 22 s")
    assert "  ↶ start-green   stop web.green.1                                          0 s" in lines
    assert "  ↶ canary-5      taken back: all visitors back to blue                  12.0 s" in lines
    assert "  waits   0 s for the undo; an interrupt is only noted" in lines
    assert "  note    SIGINT noted: undoing, this ends by itself" in lines
    assert "  failed  canary at 5 %: green failed 3 of 62 visitors" in lines
    assert not [line for line in lines if "canary-25" in line or "promote" in line or line.startswith("  act ")]


def test_past_the_pivot_nothing_is_offered() -> None:
    run = Run().to("confirm")
    assert any("inv rollback" in line for line in text(frame(run.board, Paper(80, 24))))
    run.tell("done", "confirm", "release 3f9a77c0d1e2 is live", output={}, seconds=0.1)
    assert not any("inv rollback" in line for line in text(frame(run.board, Paper(80, 24))))


def test_the_story_of_a_failure_is_whole() -> None:
    run = Run().to("canary-5").watched(12).failed()
    run.tell("undo-failed", "start-green", "ServiceError: it does not stop")
    run.tell("end", ok=False, exit=4)
    lines = text(story(run.board, Paper(80, 24)))
    assert lines[0] == "deploy to green: 5 -> 25 -> 100 %                             failed after 22 s"
    assert lines[1:4] == [
        "  ✓ secrets       secrets is done                                         1.0 s",
        "  ✓ services      services is done                                        1.0 s",
        "  ✓ database      database is done                                        1.0 s",
    ]
    assert lines[11:] == [
        "  ✗ canary-5      FAILED: canary at 5 %: green failed 3 of 62 visitors   12.0 s",
        "  ↶ canary-5      taken back: all visitors back to blue",
        "  ✗ start-green   UNDO FAILED: ServiceError: it does not stop",
        "             share    requests   failed",
        "  blue       100 %       1,203        0   serves",
        "  green        0 %          62        3   release 3f9a77c0d1e2",
        "  probes                 1,044        0   failed = lost; 0 doubled",
    ]
    assert all(len(line) < 60 for line in text(story(run.board, Paper(60, 24))))


def test_requests_add_up_over_the_steps() -> None:
    run = Run().to("canary-5").watched(12)
    served = {"blue": {"requests": 1300, "failed": 0}, "green": {"requests": 70, "failed": 3}}
    run.tell("done", "canary-5", "pass", output={"outcome": "pass", "reason": "", "served": served}, seconds=20.0)
    run.tell("begin", "canary-25", "", number=12, of=15)
    run.watched(3)
    assert run.board.served == {"blue": {"requests": 2503, "failed": 0}, "green": {"requests": 132, "failed": 6}}


def test_what_a_plugins_step_puts_out_does_not_break_the_board() -> None:
    run = Run().to("secrets")
    for output in (None, 7, [1], {"share": "all"}, {"share": {"blue": "x"}}, {"release": 3}):
        run.tell("done", "secrets", "", output=output, seconds=0.0)
        assert frame(run.board, Paper(80, 24))
    run.tell("progress", "strange", "a step that is in no plan", watch="yes")
    assert run.board.share == {"blue": 100.0, "green": 0.0}


def test_without_unicode_the_signs_are_ascii() -> None:
    lines = text(frame(Run().to("canary-5").watched(12).board, Paper(60, 24, signs=False)))
    assert all(line.isascii() for line in lines)
    assert any(line.startswith("  > canary-5") for line in lines)


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.9, 65, 3723)] == ["0 s", "59 s", "1:05", "1:02:03"]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("env", [{"CI": "true", "TERM": "xterm"}, {"TERM": "dumb"}, {}, {"CI": "1", "TERM": "xterm"}])
def test_a_log_has_no_escape_codes_even_on_a_terminal(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    screen = open_screen(to_stderr=False, env=env)
    assert type(screen) is Screen
    screen.line("bold words", "bold red")
    assert terminal.getvalue() == "bold words\n"


def test_a_terminal_gets_the_live_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(open_screen(to_stderr=True, env={"TERM": "xterm", "CI": "false"}), LiveScreen)
    assert type(open_screen(to_stderr=False, env={"TERM": "xterm"})) is Screen


def test_a_log_of_a_failed_canary_to_the_letter() -> None:
    sink = io.StringIO()
    run = Run()
    screen = Screen(console(sink, {"TERM": "xterm"}), clock=lambda: run.now)
    run.observers.append(screen)
    run.to("secrets")
    run.tell("done", "secrets", "all there", output={}, seconds=0.02)
    run.tell("begin", "canary-5", STEPS["canary-5"], number=11, of=15)
    for _ in range(25):
        run.watched(1)
    run.failed()
    assert sink.getvalue().splitlines() == [
        "[ 1/15] secrets: every password is generated",
        "        all there (0.0 s)",
        "[11/15] canary-5: 5 % of the visitors for 20 s or more, then a verdict",
        f"        canary at 5 %: 1 of 20 s, {REASON}",
        f"        canary at 5 %: 1 of 20 s, {REASON}",
        "        FAILED after 12.0 s: canary at 5 %: green failed 3 of 62 visitors",
        "  undo  canary-5: all visitors back to blue",
        "  undo  start-green: stop web.green.1",
    ]


def test_a_log_repeats_a_word_only_after_ten_seconds_and_a_long_hold_once_a_minute() -> None:
    sink = io.StringIO()
    run = Run(hold=True)
    screen = Screen(console(sink, {}), clock=lambda: run.now)
    run.observers.append(screen)
    run.to("services")
    for _ in range(24):
        run.now += 0.5
        run.tell("progress", "services", "waiting for database.1")
    run.tell("progress", "services", "database.1 ready in 12.0 s")
    assert sink.getvalue().count("waiting for database.1") == 2
    assert sink.getvalue().count("database.1 ready") == 1
    run.tell("begin", "canary-5", "", number=11, of=15)
    for _ in range(720):
        run.watched(5)
    assert 55 <= sink.getvalue().count("canary at 5 %") <= 75  # in an hour


def test_a_whole_deploy_over_fakes_is_told_live(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")  # rich asks the environment too: a bare machine says dumb
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = LiveScreen(console(terminal, {"TERM": "xterm"}))
    assert Engine(stack, (screen,)).run(DeployRequest(canary=(20.0, 50.0))).document["ok"]
    screen.close()
    screen.close()
    assert screen.board.ok and screen.board.share["blue"] == 100.0
    written = terminal.getvalue()
    assert "▸ " in written and written.endswith("\n")
    assert not [code for code in ("\x1b[3", "\x1b[9", "\x1b[?1049") if code in written.replace("\x1b[39", "")]
    after = written.rpartition("\x1b[2K")[2]
    assert "✓ confirm" in after and "done in" in after


class Stalled(Terminal):
    """Somebody pressed Ctrl-S: what is written waits."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.waits = threading.Event()

    def write(self, words: str) -> int:
        if not self.goes_on.is_set():
            self.waits.set()
            assert self.goes_on.wait(20)
        return super().write(words)


def test_a_terminal_that_takes_nothing_does_not_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Stalled()
    screen = LiveScreen(console(terminal, {"TERM": "xterm"}))
    run = Run()
    run.observers.append(screen)
    run.to("canary-5")
    terminal.goes_on.clear()
    assert terminal.waits.wait(5), "a frame is being written"
    teller = threading.Thread(target=lambda: run.watched(12).failed(), daemon=True)
    teller.start()
    teller.join(2)
    stuck = teller.is_alive()
    terminal.goes_on.set()
    screen.close()
    assert not stuck
    assert "FAILED" in terminal.getvalue()


@pytest.mark.parametrize("where", ["frame", "story"])
def test_a_bug_in_a_drawing_does_not_hide_how_the_run_ended(
    where: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")

    def broken(*_args: object) -> list[Any]:
        raise KeyError("window")

    monkeypatch.setattr(f"adaf_pipeline.tasks.live.{where}", broken)
    terminal = Terminal()
    screen = LiveScreen(console(terminal, {"TERM": "xterm"}))
    assert Engine(stack, (screen,)).run(DeployRequest(canary=(20.0,))).document["ok"]
    screen.close()
    assert "the screen broke: KeyError: 'window'" in terminal.getvalue()


def test_an_event_that_the_screen_does_not_understand_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    screen = LiveScreen(console(terminal, {"TERM": "xterm"}))
    run = Run()
    run.observers = [screen]
    run.to("services")
    run.tell("progress", "services", "a plugin's own figures", watch={"served": {"blue": 3}})
    run.tell("done", "services", "all ready", output={}, seconds=1.0)
    screen.close()
    assert "services" in terminal.getvalue() and "the screen broke" in terminal.getvalue()


def test_what_follows_the_live_screen_is_folded_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    said = "probes: 201 sent, 0 lost, late: not judged, no baseline (first release)"
    LiveScreen(console(terminal, {"TERM": "xterm"})).line(said)
    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert len(lines) == 2 and max(map(len, lines)) <= 40 and " ".join(lines) == said
