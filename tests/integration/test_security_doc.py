"""SECURITY.md's table of who may read what, and that everything listens on loopback only, on a running stack."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from commands import ROOT
from driving import Pipeline

TABLE = dict(re.findall(r"^\| (`.*?) \| (.*?) \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE))


def folders(words: str) -> list[str]:
    return [name.rstrip("/") for name in re.findall(r"`([^`]+)`", words) if name != "adaf.yaml"]


def bits(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode) & 0o007


def test_what_the_table_says_of_others_is_so(pipeline: Pipeline) -> None:
    state = pipeline.state()
    assert len(TABLE) == 4
    for words, readers in TABLE.items():
        for name in folders(words):
            found = list(state.glob(name))
            assert found, name
            for path in found:
                assert bool(bits(path)) == ("every account" in readers), f"{path}: {readers}"
    named = {name.partition("/")[0] for words in TABLE for name in folders(words)}
    open_folders = {path.name for path in state.iterdir() if path.is_dir() and bits(path)}
    assert open_folders <= named


def test_everything_listens_on_loopback_only(pipeline: Pipeline) -> None:
    ours = {f"socket:[{inode}]" for inode in _sockets(pipeline)}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in ours:
                listening.append(fields[1].partition(":")[0])
    assert len(listening) >= 5
    assert set(listening) <= {"0100007F", "00000000000000000000000001000000"}


def _sockets(pipeline: Pipeline) -> set[str]:
    """Inodes of the sockets that the stack's services hold, their children included."""
    pids = {service["pid"] for service in pipeline.status()["services"]}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[1]) in pids:
                pids.add(int(process.name))
        except OSError:
            continue
    links = [link for pid in pids for link in Path(f"/proc/{pid}/fd").glob("*")]
    found = [re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())) for link in links if link.is_symlink()]
    return {match.group(1) for match in found if match}
