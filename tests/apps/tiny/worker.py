"""A worker beside the tiny application: appends when it begins and ends its work to $LEDGER, and works until TERM."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

file = Path(__file__).with_name("behaviour")
bad: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}


def note(what: str) -> None:
    line = f"worker {what} {os.environ['ADAF_RELEASE']} {os.environ['ADAF_WORKER']} {' '.join(sys.argv[1:])}\n"
    handle = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND)
    os.write(handle, line.encode())
    os.close(handle)


def end(*_: object) -> None:
    time.sleep(0.3)  # the job in hand
    note("ends")
    sys.exit(0)


if bad.get("worker") == "ends":
    sys.exit("no queue")
signal.signal(signal.SIGTERM, end)
note("begins")
while True:
    signal.pause()
