"""The start, finish and log scripts of one service, as /bin/sh text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

# kill -9 of an s6-supervise orphans its child; a new one would start a second postgres beside it. pid and start time
# (proc(5), field 22) name the process of the previous run; its group is ended before anything else happens.
_LEFT_OVER = """\
started() {{ s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; s=${{s##*) }}; set -- $s; echo "${{20}}"; }}
if read -r old since 2>/dev/null <{pid} && [ "$(started "$old")" = "$since" ]; then
  echo "adaf: ending the left-over process $old of the previous run"
  kill -{signal} "$old" 2>/dev/null
  n=0
  while [ "$(started "$old")" = "$since" ] && [ $n -lt {tenths} ]; do sleep 0.1; n=$((n + 1)); done
  kill -KILL "-$old" 2>/dev/null
  while [ "$(started "$old")" = "$since" ]; do sleep 0.1; done
fi
"""

_FINISH = """\
#!/bin/sh
# what a crash left of the process group (its workers) ends with it
read -r old since 2>/dev/null <{pid} && kill -KILL "-$old" 2>/dev/null
rm -f {pid}
exit 0
"""


def start(
    *,
    service: str,
    pid: Path,
    signal: str,
    grace: float,
    gate: Sequence[str],
    argv: Sequence[str],
    environment: Mapping[str, str],
    secrets: Sequence[str],
    files: int,
    directory: Path,
) -> str:
    """The ``run`` script: end what is left over, gate, environment, exec. It reads secrets (``secret``), and holds none."""
    quoted_pid = shlex.quote(str(pid))
    lines = ["#!/bin/sh", f"# {service}: rendered by adaf-pipeline", "exec 2>&1", "umask 077"]
    lines += [_LEFT_OVER.format(pid=quoted_pid, signal=signal, tenths=int(grace * 10)).rstrip()]
    lines += [f"ulimit -n {files} 2>/dev/null || :", f"cd {shlex.quote(str(directory))} || exit 111"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    if gate:
        lines += [f"{shlex.join(gate)} || {{ echo 'adaf: the gate refused this start'; sleep 1; exit 111; }}"]
    lines += secrets
    lines += [f'echo "$$ $(started $$)" >{quoted_pid}', f"exec {shlex.join(argv)}", ""]
    return "\n".join(lines)


def finish(pid: Path) -> str:
    """The ``finish`` script."""
    return _FINISH.format(pid=shlex.quote(str(pid)))


def log(folder: Path) -> str:
    """The logger: ISO 8601 stamps, ten files of 2 MB.

    Without its -b: on a full disk it goes on reading, and keeps the lines in memory. With it the pipe fills, the edge
    waits for its log, and every visitor waits for the edge.
    """
    return f"#!/bin/sh\nexec s6-log n10 s2000000 T {shlex.quote(str(folder))}\n"
