"""A Board as lines of text: the live frame, which fits its terminal, and the story that stays in the scrollback. Pure."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from rich.text import Text

from adaf_pipeline.tasks.board import Board, Row, State
from adaf_pipeline.tasks.typed import as_typed

STYLES: dict[State, str] = {
    "to come": "dim",
    "running": "bold cyan",
    "done": "green",
    "failed": "bold red",
    "undoing": "bold yellow",
    "undone": "yellow",
    "undo failed": "bold red",
}
SIGNS: dict[State, str] = dict(zip(STYLES, "·▸✓✗↶↶✗", strict=True))
PLAIN: dict[State, str] = dict(zip(STYLES, ".>+x<<x", strict=True))  # for terminals that have no other letters
NAMES = 14  # columns of a step's name


@dataclass(frozen=True)
class Paper:
    """What there is to draw on. Lines stay one column short of ``width``: a full one wraps in some terminals."""

    width: int
    height: int
    signs: bool = True

    def sign(self, state: State) -> str:
        return (SIGNS if self.signs else PLAIN)[state]

    def fit(self, text: Text) -> Text:
        if self.signs:
            text.truncate(self.width - 1, overflow="ellipsis")
        else:
            text.truncate(self.width - 1, overflow="crop")
        text.no_wrap = True
        return text


def frame(board: Board, paper: Paper) -> list[Text]:
    """One screen, at most ``height`` lines: title, steps (done and coming ones folded when there is no room), figures."""
    below = [*_figures(board, paper), *_verdict(board, paper, 3), *_waits(board, paper), *_reach(board, paper)]
    if paper.height - len(below) < 5:  # a low window: what runs, and what it waits for
        below = [*_verdict(board, paper, 1), *_waits(board, paper)]
    room = paper.height - 1 - len(below)
    spaced = paper.height >= 20 or room >= len(board.rows) + 2  # air between the blocks is worth a folded step
    steps = _steps(board, paper, max(3, room - 2 * spaced))
    gap = [Text()] if spaced else []
    lines = [_title(board, paper), *gap, *steps, *gap, *below]
    return lines[:1] + lines[1:][-(paper.height - 1) :]  # a tiny window shows what is newest


def story(board: Board, paper: Paper) -> list[Text]:
    """How it went: each step that acted, what was taken back, and the figures. The error itself stands below it."""
    lines = [_title(board, paper)]
    for row in board.rows:
        if row.state != "to come":
            failed = row.id == board.failed[0]
            said = f"FAILED: {row.result}" if failed else row.result
            lines.append(_line(row.id, "failed" if failed else "done", said, _took(row), paper))
    words = {"undone": "taken back", "undoing": "was being taken back", "undo failed": "UNDO FAILED"}
    for row in reversed(board.rows):
        if row.state in words:
            lines.append(_line(row.id, row.state, f"{words[row.state]}: {row.undo}", "", paper))
    return [*lines, *_figures(board, paper)]


def _took(row: Row) -> str:
    return f"{row.seconds:.1f} s" if row.seconds else ""


def _line(name: str, state: State, said: str, right: str, paper: Paper) -> Text:
    line = Text().append(f"  {paper.sign(state)} ", style=STYLES[state])
    line.append(f"{name:<{NAMES - 1}} ", style="" if state in ("done", "undone") else STYLES[state])
    line.append(as_typed(said), style="dim" if state == "to come" else "")
    return _beside(line, right, paper)


def _beside(line: Text, right: str, paper: Paper) -> Text:
    """``right`` at the right edge; what is left of it gives way."""
    room = paper.width - 1 - (len(right) + 1 if right else 0)
    line.truncate(room, overflow="ellipsis" if paper.signs else "crop")
    if right:
        line.append(" " * (room + 1 - line.cell_len))
        line.append(right, style="dim")
    return paper.fit(line)


def _title(board: Board, paper: Paper) -> Text:
    if board.ok is not None:
        how = "done in" if board.ok else "failed after"
        style = "bold green" if board.ok else "bold red"
    else:
        how, style = ("undoing,", "bold yellow") if board.undoing else ("", "bold")
    what = f"{board.task} {board.summary}".strip()
    return _beside(Text(what, style=style), f"{how} {clock(board.seconds)}".strip(), paper)


def _steps(board: Board, paper: Paper, room: int) -> list[Text]:
    """Every step on a line of its own while there is room; then the done ones become one line, then those to come."""
    rows = [row for row in board.rows if row.state != "to come" or not board.undoing]
    acting = [i for i, row in enumerate(rows) if row.state not in ("done", "to come")]
    first = acting[0] if acting else sum(row.state == "done" for row in rows)
    after = acting[-1] + 1 if acting else first
    done, middle, coming = rows[:first], rows[first:after], rows[after:]
    spare = room - len(middle)
    tail = coming if len(coming) <= max(1, spare - 1) else coming[: max(0, spare - 2)]
    rest = coming[len(tail) :]
    spare -= len(tail) + bool(rest)
    shown = done if len(done) <= spare else done[len(done) - max(0, spare - 1) :]
    folded = done[: len(done) - len(shown)]
    lines = [_folded(folded, "done", paper)] if folded else []
    lines += [_step(row, board, paper) for row in (*shown, *middle, *tail)]
    return [*lines, _folded(rest, "to come", paper)] if rest else lines


def _step(row: Row, board: Board, paper: Paper) -> Text:
    if row.state in ("running", "undoing"):
        said = row.word or (row.undo if row.state == "undoing" else row.why)
        return _line(row.id, row.state, said, clock(board.clock() - row.began), paper)
    said = f"FAILED: {row.result}" if row.id == board.failed[0] else row.result
    others = {"to come": row.why, "undone": f"taken back: {row.undo}", "undo failed": f"UNDO FAILED: {row.undo}"}
    return _line(row.id, row.state, others.get(row.state, said), _took(row), paper)


def _folded(rows: list[Row], state: State, paper: Paper) -> Text:
    seconds = sum(row.seconds for row in rows)
    line = Text().append(f"  {paper.sign(state)} ", style=STYLES[state])
    line.append(f"{len(rows)} {state}: {', '.join(row.id for row in rows)}", style="dim")
    return _beside(line, f"{seconds:.1f} s" if state == "done" else "", paper)


def _figures(board: Board, paper: Paper) -> list[Text]:
    """A row a colour: share of the visitors, requests, failures of each."""
    if not board.share and not board.served:
        return []
    lines = [paper.fit(Text(f"  {'':8}{'share':>8}{'requests':>12}{'failed':>9}", style="dim"))]
    shown = {colour for colour, percent in board.share.items() if percent}
    for colour in sorted(shown | {*board.served} | {c for c in (board.live, board.idle) if c}):
        counts = board.served.get(colour, {})
        failed = counts.get("failed", 0)
        line = Text().append(f"  {colour:8}{board.share.get(colour, 0):>6g} %", style="bold")
        line.append(f"{counts.get('requests', 0):>12,}" if counts else f"{'-':>12}")
        line.append(f"{failed:>9,}" if counts else f"{'-':>9}", style="bold red" if failed else "")
        what = (
            "the new release"
            if colour == board.idle
            else ("serves" if board.share.get(colour) else "kept warm")
            if colour == board.live
            else ""
        )
        if colour == board.idle and board.release:
            what = f"release {board.release}"
        line.append(f"   {what}", style="dim")
        lines.append(paper.fit(line))
    if board.probes:
        lost, twice = board.probes.get("lost", 0), board.probes.get("duplicated", 0)
        line = Text(f"  {'probes':8}{board.probes.get('sent', 0):>20,}")
        line.append(f"{lost:>9,}", style="bold red" if lost else "")
        line.append(f"   failed = lost; {twice:,} doubled", style="dim")
        lines.append(paper.fit(line))
    return lines


def _verdict(board: Board, paper: Paper, most: int) -> list[Text]:
    outcome, reason = board.verdict
    if board.failed[0]:
        return _labelled("failed", board.failed[1], paper, most)
    if not outcome:
        return []
    return _labelled("so far", f"{outcome}: {reason}", paper, most)


def _waits(board: Board, paper: Paper) -> list[Text]:
    """For what, and for how long."""
    row = board.now
    if row is None:
        return []
    spent = clock(board.clock() - row.began)
    watch = board.watch
    if row.state == "undoing":
        said = f"{spent} for the undo; an interrupt is only noted"
    elif board.hold and row.id.startswith("canary-"):
        said = f"for `inv promote`, for {spent} so far; it is watched all the while"
    elif watch:
        said = f"{spent} of {clock(watch['window'])} for a verdict"
        if watch["seconds"] > watch["window"]:
            said = f"{spent}, at most {clock(watch['limit'])}, for a verdict: too few visitors yet"
    else:
        said = f"{spent} for {row.id}"
    lines = _labelled("waits", said, paper, 2)
    return [*lines, *_labelled("note", board.note, paper, 2)] if board.note else lines


def _reach(board: Board, paper: Paper) -> list[Text]:
    """How one intervenes, which ends with the pivot."""
    if board.undoing or board.ok is not None or board.passed(board.pivot):
        return []
    if board.task != "deploy":
        return _labelled("act", "Ctrl-C: what was done is taken back", paper, 1)
    said = "inv rollback in another shell; Ctrl-C here"
    if any(row.id.startswith("canary-") and row.state in ("running", "to come") for row in board.rows):
        said = f"inv promote ({'next step' if board.hold else 'to 100 %'}), {said}"
    return _labelled("act", said, paper, 2)


def _labelled(label: str, said: str, paper: Paper, most: int) -> list[Text]:
    indent = max(10, len(label) + 4)
    together = as_typed(said).replace(" %", "\N{NO-BREAK SPACE}%")
    lines = textwrap.wrap(together, max(20, paper.width - 1 - indent), max_lines=most, placeholder=" ...")
    found = []
    for number, line in enumerate(lines):
        text = Text().append(f"  {label if not number else '':<{indent - 2}}", style="dim")
        found.append(paper.fit(text.append(line.replace("\N{NO-BREAK SPACE}", " "), style="")))
    return found


def clock(seconds: float) -> str:
    """``7 s``, ``1:05``, ``1:02:03``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
