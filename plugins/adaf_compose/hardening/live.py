"""A posture from what the engine says of a container (``docker inspect``)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adaf_compose.entry import LABEL
from adaf_compose.hardening.posture import Delivered, Mount, Network, Posture, Published, capability, option
from adaf_compose.peers import SECRETS

GRACE = 10  # s, the engine's, of a container that asks for none
_SPACES = {"PidMode": "pid", "IpcMode": "ipc", "UTSMode": "uts", "UsernsMode": "userns_mode", "CgroupnsMode": "cgroup"}


def live(
    seen: Mapping[str, Any], project: str, networks: Mapping[str, Mapping[str, Any]], engine: Iterable[str] = ()
) -> Posture:
    """``seen``: of the container; ``networks``: what the engine says of each, by id; ``engine``: its own security
    options (``docker info``), which count where the container has none."""
    config, host = seen["Config"], seen["HostConfig"]
    labels: Mapping[str, str] = config.get("Labels") or {}
    mounts = tuple(_mounts(seen.get("Mounts") or ()))
    return Posture(
        subject=labels.get(f"{LABEL}service") or seen["Name"].lstrip("/"),
        where="live",
        user=config.get("User") or "",
        groups=tuple(host.get("GroupAdd") or ()),
        read_only=bool(host.get("ReadonlyRootfs")),
        in_memory=dict(_memory(seen)),
        dropped=frozenset(map(capability, host.get("CapDrop") or ())),
        added=frozenset(map(capability, host.get("CapAdd") or ())),
        options=frozenset(_options(host, engine)),
        beyond=tuple(_beyond(host)),
        memory=int(host.get("Memory") or 0),
        with_swap=int(host.get("MemorySwap") or 0),
        cpus=float(host.get("NanoCpus") or 0) / 1e9 or _quota(host),
        pids=int(host.get("PidsLimit") or 0),
        ulimits={u["Name"]: int(u["Hard"]) for u in host.get("Ulimits") or ()},
        health=_checks(config.get("Healthcheck") or {}),
        log={"driver": host["LogConfig"]["Type"], **(host["LogConfig"].get("Config") or {})},
        restart=host["RestartPolicy"].get("Name") or "no",
        init=bool(host.get("Init")),
        stop_signal=config.get("StopSignal") or "",
        stop_grace=float(GRACE if config.get("StopTimeout") is None else config["StopTimeout"]),
        networks=tuple(_networks(seen, project, networks)),
        published=tuple(_published(host)),
        mounts=mounts,
        delivered=tuple(d for m in mounts if m.target == SECRETS for d in _delivered(Path(m.source))),
        image=config.get("Image") or "",
        environment=dict(line.split("=", 1) for line in config.get("Env") or () if "=" in line),
        words=tuple(_words(config, labels)),
    )


def _words(config: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[str]:
    for said in (config.get("Entrypoint"), config.get("Cmd"), (config.get("Healthcheck") or {}).get("Test")):
        yield from said or ()
    yield from labels.values()


def _memory(seen: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[str]]]:
    for target, options in (seen["HostConfig"].get("Tmpfs") or {}).items():
        yield target, frozenset(options.split(","))
    for mount in seen["HostConfig"].get("Mounts") or ():
        if mount.get("Type") == "tmpfs":  # the long form has no way to say noexec
            yield mount["Target"], frozenset()


def _options(host: Mapping[str, Any], engine: Iterable[str]) -> Iterator[str]:
    own = set(map(option, host.get("SecurityOpt") or ()))
    yield from own
    if "seccomp" not in {said.partition("=")[0] for said in own}:
        profiles = [line for line in engine if line.startswith("name=seccomp")]
        if engine and (not profiles or "profile=unconfined" in profiles[0]):
            yield "seccomp=unconfined"
    if [] in (host.get("MaskedPaths"), host.get("ReadonlyPaths")) and not host.get("Privileged"):
        yield "systempaths=unconfined"


def _beyond(host: Mapping[str, Any]) -> Iterator[str]:
    if host.get("Privileged"):
        yield "privileged"
    for key, name in _SPACES.items():
        value = str(host.get(key) or "")
        if value == "host" or value.startswith("container:"):
            yield f"{name}: {value}"
    if host.get("NetworkMode") == "host" or str(host.get("NetworkMode")).startswith("container:"):
        yield f"network_mode: {host['NetworkMode']}"
    for device in host.get("Devices") or ():
        yield f"device {device['PathOnHost']}"
    for allowed in host.get("DeviceCgroupRules") or ():
        yield f"devices {allowed}"
    for asked in host.get("DeviceRequests") or ():
        yield f"device {asked.get('Driver') or 'requested'}"


def _quota(host: Mapping[str, Any]) -> float:
    return float(host.get("CpuQuota") or 0) / float(host.get("CpuPeriod") or 100_000)


def _checks(check: Mapping[str, Any]) -> bool:
    return bool(check.get("Test")) and check["Test"] != ["NONE"]


def _networks(seen: Mapping[str, Any], project: str, known: Mapping[str, Mapping[str, Any]]) -> Iterator[Network]:
    for name, joined in sorted(seen["NetworkSettings"]["Networks"].items()):
        if name in ("none", "host"):  # nothing, or beyond
            continue
        internal = bool(known.get(joined.get("NetworkID") or "", {}).get("Internal"))
        ours = name.startswith(f"{project}_")
        yield Network(name.removeprefix(f"{project}_") if ours else f"{name} of somebody else", internal)


def _published(host: Mapping[str, Any]) -> Iterator[Published]:
    if host.get("PublishAllPorts"):
        yield Published(0, "")
    for port, places in (host.get("PortBindings") or {}).items():
        for place in places or ():
            yield Published(int(port.partition("/")[0]), place.get("HostIp") or "")


def _mounts(found: Iterable[Mapping[str, Any]]) -> Iterator[Mount]:
    for mount in found:
        if mount["Type"] != "tmpfs":
            bind = mount["Type"] == "bind"
            source = os.path.realpath(mount["Source"]) if bind else mount.get("Source", "")
            single = bind and Path(source).exists() and not Path(source).is_dir()
            yield Mount(
                mount["Type"],
                source,
                mount["Destination"],
                not mount["RW"],
                single,
                mount.get("Propagation") or "rprivate",
            )


def _delivered(place: Path) -> Iterator[Delivered]:
    """What is there now; of a directory that is gone, nothing."""
    for path in (place, *sorted(place.glob("*"))):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        name = "." if path == place else path.name
        yield Delivered(name, found.st_uid, stat.S_IMODE(found.st_mode))
