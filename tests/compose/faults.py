"""What can happen to a stack on one host, by name: each breaks one thing and sees to it that it is broken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from driving import until
from engines import docker, own
from prod import Prod

from private_engine import traces
from private_engine.engine import Engine

Fault = Callable[[Prod, Engine], None]
AWAY = 2.0  # s without a network


def killed(role: str) -> Fault:
    """-9 from the host, until another process is in its place. By the engine's API it would count as stopped by hand."""

    def fault(stack: Prod, _engine: Engine) -> None:
        service = named(stack, role)
        pid = stack.pid(service)
        os.kill(pid, 9)
        until(lambda: stack.pid(service) not in (0, pid), 30, f"another {service}")

    return fault


def engine_killed(_stack: Prod, engine: Engine) -> None:
    """dockerd, and with it containerd; then it is started as a supervisor would."""
    traces.kill([int(engine.pidfile.read_text())])
    until(lambda: not engine.answers(), what="its end")
    own(engine.place, apart=True)


def power_cut(_stack: Prod, engine: Engine) -> None:
    """Everything at once; what comes back does so without us."""
    engine.cut()
    own(engine.place, apart=True)


def unplugged(role: str) -> Fault:
    """A container without its tier's network for two seconds."""

    def fault(stack: Prod, _engine: Engine) -> None:
        label = f"label=adaf.service={named(stack, role)}"
        project = f"label=com.docker.compose.project={stack.name}"
        container = docker("container", "ls", "-q", "--filter", label, "--filter", project)
        said = docker("inspect", "--format", '{{index .Config.Labels "com.docker.compose.service"}}', container)
        network = f"{stack.name}_{'app' if role == 'web' else role}"
        docker("network", "disconnect", network, container)
        time.sleep(AWAY)
        docker("network", "connect", "--alias", said, network, container)

    return fault


def named(stack: Prod, role: str) -> str:
    """The service of that role that visitors need."""
    return f"web.{stack.live()[1]}.1" if role == "web" else f"{role}.1"


FAULTS: Mapping[str, Fault] = {
    "application killed": killed("web"),
    "balancer killed": killed("balancer"),
    "proxy killed": killed("proxy"),
    "database killed": killed("database"),
    "cache killed": killed("cache"),
    "application unplugged": unplugged("web"),
    "cache unplugged": unplugged("cache"),
    "database unplugged": unplugged("database"),
    "engine killed": engine_killed,
    "power cut": power_cut,
}
