"""One service of the file: all that the engine is told about a container, nothing left to its defaults or an image's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import cast

from adaf_compose import networks, users
from adaf_compose.content import PROBE, content, entrypoint, folder
from adaf_compose.peers import CONFIGURATION, PACKAGE, SECRETS, Peers, dns, kept, secrets, volume
from adaf_compose.settings import Most, Settings
from adaf_pipeline.event import Json
from adaf_pipeline.service import Port, Ref, Service

Entry = dict[str, Json]

LABEL = "adaf."  # service, role, digest, rendered, colour, package
INTERVAL, FIRST_INTERVAL = 10.0, 0.5  # seconds between two probes, and while it starts


def entry(
    service: Service,
    peers: Peers,
    settings: Settings,
    image: str,
    *,
    state: PurePath,
    published: Mapping[str, int] | None = None,
) -> Entry:
    """The entry of ``service``. ``image``: a reference that is there; ``state``: the stack's directory on this host;
    ``published``: the host's number for each public port, by its name."""
    made: Entry = {"image": image}
    if "@sha256:" not in image:
        made["pull_policy"] = "never"  # ours are made here: a registry's image of that name would be somebody else's
    made |= {
        "user": f"{users.uid(service.role)}:{users.uid(service.role)}",
        "init": True,
        "entrypoint": list(map(_plain, entrypoint(service))),
        "command": [_plain(peers.text(service, word)) for word in service.argv],
    }
    if service.package:
        made["working_dir"] = PACKAGE
    if service.environment:
        values = {name: _plain(peers.text(service, value)) for name, value in service.environment.items()}
        made["environment"] = dict(sorted(values.items()))
    made |= _hardening(service) | _limits(service, settings)
    made |= _mounts(service, peers, settings, state)
    made |= _places(service, peers, settings, published or {})
    made |= _life(service, peers)
    labels = {
        "service": service.id,
        "role": service.role,
        "digest": service.digest(),
        "colour": service.colour,
        "package": service.package,
    }
    made["labels"] = {LABEL + name: _plain(value) for name, value in labels.items() if value}
    rendered = json.dumps([made, content(service, peers)], sort_keys=True)
    made["labels"] |= {f"{LABEL}rendered": hashlib.sha256(rendered.encode()).hexdigest()[:16]}
    needed = _after(service, peers)
    return made | ({"depends_on": needed} if needed else {})


def rendered_of(made: Entry) -> str:
    """Of an entry and its files: a container that has another one is made anew."""
    return str(cast(Mapping[str, Json], made["labels"])[f"{LABEL}rendered"])


def _hardening(service: Service) -> Entry:
    made: Entry = {
        "read_only": not service.hardening.writable,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges=true"],
        "cgroup": "private",  # the engine's default is the host's under cgroup v1
    }
    if service.hardening.capabilities:
        made["cap_add"] = sorted(service.hardening.capabilities)
    return made


def _limits(service: Service, settings: Settings) -> Entry:
    said, none = service.limits, Most()
    role, own = (settings.limits.get(key, none) for key in (service.role, service.id))
    memory = own.memory_mb or role.memory_mb or said.memory_mb or settings.memory_mb
    made: Entry = {
        "mem_limit": f"{memory}m",
        "memswap_limit": f"{memory}m",  # the sum of both: no swap
        "cpus": own.cpus or role.cpus or said.cpus or settings.cpus,
        "pids_limit": own.pids or role.pids or said.pids or settings.pids,
        "ulimits": {"nofile": {"soft": said.files, "hard": said.files}, "core": 0},
    }
    if said.shared_memory_mb:
        made["shm_size"] = f"{said.shared_memory_mb}m"
    return made


def _mounts(service: Service, peers: Peers, settings: Settings, state: PurePath) -> Entry:
    uid, mounts = users.uid(service.role), []
    # another directory takes the same file and its data elsewhere: `ADAF_STATE=/mnt/copy docker compose ...`
    base = f"${{ADAF_STATE:-{state}}}"
    memory = ["/tmp:noexec,nosuid,nodev,size=64m,mode=1777"]
    if content(service, peers):
        mounts.append(_bind(f"./{folder(service)}", CONFIGURATION, read_only=True))
    if secrets(service):
        mounts.append(_bind(f"{base}/delivered/{service.id}", SECRETS, read_only=True))
    for own in service.volumes:
        if kept(service, own):
            mounts.append(_bind(f"{base}/volumes/{service.id}/{own.name}", volume(service, own.name)))
        else:
            options = f"noexec,nosuid,nodev,size={settings.scratch_mb}m,uid={uid},gid={uid},mode=0700"
            memory.append(f"{volume(service, own.name)}:{options}")
    shared = {(link.owner.id, link.port.unix): link.owner for link in peers.links(service) if link.port.unix}
    for (identity, name), owner in sorted(shared.items()):  # who may only look may still connect
        mounts.append(_bind(f"{base}/volumes/{identity}/{name}", volume(owner, name), read_only=True))
    return {**({"volumes": mounts} if mounts else {}), "tmpfs": memory}


def _bind(source: str, target: str, *, read_only: bool = False) -> Entry:
    """A directory, which has to be there: the engine would make it, as root's."""
    mode: Entry = {"read_only": True} if read_only else {}
    return {"type": "bind", "source": source, "target": target, **mode, "bind": {"create_host_path": False}}


def _places(service: Service, peers: Peers, settings: Settings, published: Mapping[str, int]) -> Entry:
    made: Entry = {}
    names = networks.joined(service, peers, settings)
    made |= {"networks": list(names)} if names else {"network_mode": "none"}
    public = [_publish(service, port, peers, settings, published) for port in service.ports if port.public]
    return made | ({"ports": public} if public else {})


def _publish(service: Service, port: Port, peers: Peers, settings: Settings, published: Mapping[str, int]) -> Entry:
    return {
        "target": peers.number(service, port.name),
        "host_ip": settings.address,
        "published": str(published.get(port.name) or port.number),
        "protocol": "tcp",
    }


def _life(service: Service, peers: Peers) -> Entry:
    made: Entry = {"restart": "no" if service.job else "always"}  # unless-stopped stays down after an engine's crash
    if service.job:
        made["profiles"] = ["job"]  # `up` by hand starts none
    made |= {"stop_signal": f"SIG{service.stop_signal}", "stop_grace_period": _duration(service.stop_grace)}
    if service.ready:
        made["healthcheck"] = {
            "test": ["CMD", "perl", f"{CONFIGURATION}/{PROBE}", *map(_plain, _asked(service, peers))],
            "interval": _duration(INTERVAL),
            "timeout": _duration(service.ready.timeout + 1),
            "retries": 3,
            "start_period": _duration(service.ready.deadline),
            "start_interval": _duration(FIRST_INTERVAL),
        }
    made["logging"] = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    return made


def _asked(service: Service, peers: Peers) -> list[str]:
    """The arguments of the probe."""
    check = service.ready
    assert check is not None
    port = next(p for p in service.ports if p.name == check.port)
    if port.unix:
        address = peers.resolve(service, Ref("instance", service.id, port.name, "path"))
    else:
        address = f"127.0.0.1:{peers.number(service, port.name)}"
    seconds = str(max(1, round(check.timeout)))  # alarm(2) takes whole ones
    return [address, seconds, *([check.http, check.host] if check.http else [])]


def _after(service: Service, peers: Peers) -> Entry:
    """For who starts the file by hand; `document` leaves out who is not in it."""
    wanted = set(service.start_after)
    found = [o for o in peers.services.values() if o.id != service.id and wanted & {o.id, o.role} and not o.job]
    how = {o.id: "service_healthy" if o.ready else "service_started" for o in found}
    return {dns(identity): {"condition": condition} for identity, condition in sorted(how.items())}


def _plain(value: str) -> str:
    """Compose puts values of its own where a $ is."""
    return value.replace("$", "$$")


def _duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
