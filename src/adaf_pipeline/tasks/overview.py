"""Status as people read it: one screen, with the next sensible command at its end."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping

from rich.live import Live
from rich.text import Text

from adaf_pipeline.event import Json
from adaf_pipeline.tasks.console import Screen, console, is_log
from adaf_pipeline.tasks.drawing import clock
from adaf_pipeline.tasks.typed import as_typed
from adaf_pipeline.workflows.disk import disk_lines
from adaf_pipeline.workflows.up import describe_share

PERIOD = 2.0  # seconds between two looks of --watch
WIDE = 200  # columns of a log: what has no edge is not folded
REASON = 46  # where the last column begins


def width() -> int:
    """Columns of the terminal; WIDE when stdout is none."""
    return WIDE if is_log(sys.stdout) else console(sys.stdout).width


def lines(document: Mapping[str, Json], columns: int = WIDE) -> Iterable[str]:
    """What is live, what happens now, every service, and what one does next."""
    yield _live(document)
    if document.get("maintenance"):
        yield "visitors get the maintenance page: inv maintenance --off"
    yield from _running(document, columns)
    yield f"{'service':18} {'state':7} {'ready':6} {'memory':>9}  why"
    for service in document["services"]:
        yield from _service(service, document["weights"], columns)
    yield f"{'all':18} {'':7} {'':6} {document['memory_mb']:>6.1f} MB"
    for said in document["bad"]:
        if " " in said:
            yield f"{said.rpartition(': ')[0]}"
    for said in disk_lines(document["disk"]):
        yield from textwrap.wrap(said, columns - 1, subsequent_indent="  ")
    if document["next"]:
        yield f"next: {' | '.join(document['next'])}"


def _live(document: Mapping[str, Json]) -> str:
    if not any(service["state"] == "up" for service in document["services"]):
        stopped = f"; release {document['release']} comes back with it" if document["release"] else ""
        return f"the stack is not up{stopped}"
    if not document["release"]:
        return f"{document['url']}   nothing is live yet"
    return f"{document['url']}   release {document['release']} ({describe_share(document['weights'])})"


def _running(document: Mapping[str, Json], columns: int) -> Iterable[str]:
    record = document["running"]
    if not record:
        return
    what = "takes back" if record["undoing"] else "is at"
    at = f", {what} {record['step']}" if record["step"] else ""
    since = clock(time.time() - float(record["since"]))
    yield f"running now: {record['task']} by {record['who']} (pid {record['pid']}) for {since}{at}"
    if record["hold"] and record["step"].startswith("canary-"):
        yield "it is held there, and watched: inv promote goes on"
    yield from textwrap.wrap(record["said"], columns - 1, initial_indent="  ", subsequent_indent="  ")


def _service(service: Mapping[str, Json], weights: Mapping[str, float], columns: int) -> Iterable[str]:
    ready = "yes" if service["ready"] else "NO"
    memory = f"{service['memory_mb']:.1f} MB" if service["memory_mb"] else ""
    colour = ([*str(service["name"]).split("."), ""])[1]
    why = service["reason"]
    if service["ready"] and not why and colour in weights:
        why = f"{weights[colour]:g} % of the visitors" if weights[colour] else "warm"
    first, *rest = textwrap.wrap(why, max(20, columns - 1 - REASON)) or [""]
    yield f"{service['name']:18} {service['state']:7} {ready:6} {memory:>9}  {first}".rstrip()
    for line in rest:
        yield f"{'':{REASON - 1}}{line}"


def watch(look: Callable[[], Mapping[str, Json]], head: str) -> None:
    """Look again and again until Ctrl-C. A terminal shows one screen; a log gets what changed."""
    try:
        if is_log(sys.stdout):
            _follow(look, head)
        else:
            _redraw(look, head)
    except KeyboardInterrupt:
        return


def _follow(look: Callable[[], Mapping[str, Json]], head: str) -> None:
    screen, before = Screen(console(sys.stdout)), None
    screen.line(head)
    while True:
        document = look()
        now = [(s["name"], s["state"], s["ready"], s["reason"]) for s in document["services"]]
        running = document["running"] and (document["running"]["run"], document["running"]["step"])
        if (now, document["weights"], running) != before:
            before = (now, document["weights"], running)
            screen.line(time.strftime("%H:%M:%S"))
            for line in lines(document):
                screen.line(line)
        time.sleep(PERIOD)


def _redraw(look: Callable[[], Mapping[str, Json]], head: str) -> None:
    terminal = console(sys.stdout)
    with Live(console=terminal, auto_refresh=False, vertical_overflow="crop") as live:
        terminal.show_cursor(True)
        while True:
            columns = terminal.width
            said = [head, *lines(look(), columns), time.strftime("as of %H:%M:%S, every 2 s; Ctrl-C ends this")]
            shown = [Text(as_typed(line)) for line in said]
            for line in shown:
                line.truncate(columns - 1, overflow="ellipsis")
            shown[0].stylize("dim")
            shown[-1].stylize("dim")
            live.update(Text("\n", no_wrap=True).join(shown), refresh=True)
            time.sleep(PERIOD)
