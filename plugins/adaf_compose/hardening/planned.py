"""A posture from an entry of the file, as Compose would read it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from adaf_compose.entry import LABEL
from adaf_compose.hardening.posture import Mount, Network, Posture, Published, capability, option

_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SPACES = ("pid", "ipc", "uts", "userns_mode", "cgroup", "network_mode")
_INTERPOLATED = re.compile(r"\$(?:(\$)|\{\w+:-([^}]*)\})")


def planned(document: Mapping[str, Any]) -> Iterator[Posture]:
    """Every service of the file. ``document``: as ``document.load`` gives it; ``x-adaf`` says where it lies."""
    networks = document.get("networks") or {}
    folder = PurePath(os.path.realpath(document["x-adaf"]["state"]))
    for name, made in document["services"].items():
        yield _posture(name, _plain(made), networks, folder)


def _plain(value: Any) -> Any:
    """Text as Compose would have it, with nothing set in its environment."""
    if isinstance(value, str):
        return _INTERPOLATED.sub(lambda m: m[1] or m[2], value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _posture(name: str, made: Mapping[str, Any], networks: Mapping[str, Any], folder: PurePath) -> Posture:
    log = made.get("logging") or {}
    labels: Mapping[str, str] = made.get("labels") or {}
    return Posture(
        subject=labels.get(f"{LABEL}service", name),
        where="plan",
        user=str(made.get("user", "")),
        groups=tuple(map(str, made.get("group_add", ()))),
        read_only=bool(made.get("read_only")),
        in_memory=dict(_memory(line) for line in made.get("tmpfs", ())),
        dropped=frozenset(map(capability, made.get("cap_drop", ()))),
        added=frozenset(map(capability, made.get("cap_add", ()))),
        options=frozenset(map(option, made.get("security_opt", ()))),
        beyond=tuple(_beyond(made)),
        memory=_bytes(made.get("mem_limit", 0)),
        with_swap=_bytes(made.get("memswap_limit", 0)),
        cpus=float(made.get("cpus", 0)),
        pids=int(made.get("pids_limit", 0)),
        ulimits={k: int(v["hard"] if isinstance(v, dict) else v) for k, v in (made.get("ulimits") or {}).items()},
        health=_checks(made.get("healthcheck") or {}),
        log={"driver": log.get("driver", ""), **log.get("options", {})} if log else {},
        restart=str(made.get("restart", "no")),
        init=bool(made.get("init")),
        stop_signal=str(made.get("stop_signal", "")),
        stop_grace=_seconds(str(made.get("stop_grace_period", "10s"))),
        networks=tuple(_network(n, networks) for n in _joined(made)),
        published=tuple(_published(port) for port in made.get("ports", ())),
        mounts=tuple(_mount(m, folder) for m in made.get("volumes", ())),
        file_secrets=tuple(str(s) for key in ("secrets", "configs") for s in made.get(key, ())),
        image=str(made.get("image", "")),
        fetched=made.get("pull_policy") != "never",
        environment={k: str(v) for k, v in (made.get("environment") or {}).items()},
        words=tuple(map(str, (*_words(made), *labels.values()))),
    )


def _words(made: Mapping[str, Any]) -> Iterator[str]:
    for said in (made.get("entrypoint"), made.get("command"), (made.get("healthcheck") or {}).get("test")):
        yield from [said] if isinstance(said, str) else said or ()


def _joined(made: Mapping[str, Any]) -> list[str]:
    """Who says nothing is on the network that Compose calls ``default``."""
    if "network_mode" in made:
        return []  # `none`, or the host's, which is beyond
    return list(made.get("networks", ())) or ["default"]


def _network(name: str, networks: Mapping[str, Any]) -> Network:
    return Network(name, bool((networks.get(name) or {}).get("internal")))


def _memory(line: str) -> tuple[str, frozenset[str]]:
    target, _, options = line.partition(":")
    return target, frozenset(options.split(","))


def _checks(check: Mapping[str, Any]) -> bool:
    return bool(check.get("test")) and check["test"] != ["NONE"] and not check.get("disable")


def _beyond(made: Mapping[str, Any]) -> Iterator[str]:
    if made.get("privileged"):
        yield "privileged"
    for key in _SPACES:
        value = str(made.get(key, ""))
        if value == "host" or value.startswith(("container:", "service:")):
            yield f"{key}: {value}"
    for device in made.get("devices", ()):
        yield f"device {device}"
    for allowed in made.get("device_cgroup_rules", ()):
        yield f"devices {allowed}"


def _published(port: Any) -> Published:
    if isinstance(port, dict):
        return Published(int(port["target"]), str(port.get("host_ip", "")))
    rest, _, target = str(port).rpartition(":")
    return Published(int(target.partition("/")[0]), rest.rpartition(":")[0].strip("[]"))


def _mount(said: Any, folder: PurePath) -> Mount:
    if isinstance(said, str):
        source, target, *how = said.split(":")
        said = {"type": "bind" if source[0] in "./~" else "volume", "source": source, "target": target}
        said["read_only"] = "ro" in ",".join(how).split(",")
    bind, source = said["type"] == "bind", str(said.get("source", ""))
    where = str(folder / source) if bind else source
    return Mount(
        said["type"],
        where,
        said["target"],
        bool(said.get("read_only")),
        bind and Path(where).exists() and not Path(where).is_dir(),
        (said.get("bind") or {}).get("propagation", "rprivate"),
    )


def _bytes(said: Any) -> int:
    found = re.fullmatch(r"(-?\d+)([bkmg]?)b?", str(said).lower())
    return int(found[1]) * _UNITS[found[2] or "b"] if found else 0


def _seconds(said: str) -> float:
    found = re.fullmatch(r"(\d+)(ms|s)", said)
    return int(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0
