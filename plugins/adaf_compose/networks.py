"""Which networks there are, and who is on them: one for each role that answers, and nobody on it who does not ask.

Who serves visitors is on ``edge``. Whoever listens for peers is on the network of its role, always: else the first
release would give the database a network, and a restart with it. ``egress-ROLE`` leads out, apart for each role, or
those who may go out would meet there.
"""

from __future__ import annotations

from collections.abc import Iterable

from adaf_compose.peers import Peers
from adaf_compose.settings import Settings
from adaf_pipeline.event import Json
from adaf_pipeline.service import Port, Service

EDGE = "edge"
EGRESS = "egress-"


def tier(owner: Service, port: Port) -> str:
    """The network on which a TCP port is answered."""
    return EDGE if port.public else owner.role


def joined(service: Service, peers: Peers, settings: Settings) -> tuple[str, ...]:
    """The networks that a service is on, sorted; () = it talks to nobody by network."""
    own = {tier(service, port) for port in service.ports if not port.unix}
    asked = {tier(link.owner, link.port) for link in peers.links(service) if not link.port.unix}
    out = {EGRESS + service.role} if may_leave(service, settings) else set()
    return tuple(sorted(own | asked | out))


def may_leave(service: Service, settings: Settings) -> bool:
    """Whether it may talk to addresses outside the stack."""
    return service.hardening.egress or bool({service.id, service.role} & set(settings.egress))


def leads_out(name: str) -> bool:
    """Whether a network is one that is not internal."""
    return name == EDGE or name.startswith(EGRESS)


def definitions(names: Iterable[str]) -> dict[str, Json]:
    """The section ``networks``. ``edge`` lets visitors in and nothing out: what leaves it has no way back."""
    found: dict[str, Json] = {}
    for name in sorted(set(names)):
        found[name] = {} if leads_out(name) else {"internal": True}
        if name == EDGE:
            found[name] = {"driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}
    return found
