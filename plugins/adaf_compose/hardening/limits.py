"""Rules about what a container may take, and how it starts, is looked at, and ends."""

from __future__ import annotations

from adaf_compose.hardening.rules import Case, rule


@rule("H08", "a limit of memory", "mem_limit; `limits:` of runtime: in adaf.yaml sets it")
def memory(case: Case) -> str:
    return "" if case.posture.memory > 0 else "it may take all memory of the host"


@rule("H09", "no swap beyond the limit of memory", "memswap_limit equal to mem_limit")
def swap(case: Case) -> str:
    found, limit = case.posture.with_swap, case.posture.memory
    if found == limit > 0:
        return ""
    return f"memory and swap {found >> 20} MB, memory {limit >> 20} MB" if found > 0 else "swap without a limit"


@rule("H10", "a limit of processor time", "cpus; `limits:` of runtime: in adaf.yaml sets it")
def cpus(case: Case) -> str:
    return "" if case.posture.cpus > 0 else "it may take every core of the host"


@rule("H11", "a limit of processes", "pids_limit; `limits:` of runtime: in adaf.yaml sets it")
def pids(case: Case) -> str:
    return "" if case.posture.pids > 0 else "it may start as many as the host can"


@rule("H12", "a limit of open files, and no core dumps: they hold secrets", "ulimits: {nofile: N, core: 0}")
def ulimits(case: Case) -> str:
    said = case.posture.ulimits
    if said.get("nofile", 0) <= 0:
        return "open files without a limit of its own"
    return "" if said.get("core") == 0 else "core dumps are written"


@rule("H13", "a health check, where something can be asked", "healthcheck; `ready` of its Service makes one")
def health(case: Case) -> str:
    asked = case.service.ready is not None or not case.declared
    return "" if case.posture.health or not asked else "nobody looks whether it answers"


@rule("H14", "a log that cannot fill the disk", "logging: {driver: json-file, options: {max-size: 10m, max-file: 3}}")
def log(case: Case) -> str:
    said = case.posture.log
    if said.get("driver") == "local":  # it has bounds of its own
        return ""
    if said.get("driver") != "json-file":
        return f"driver {said['driver']}: `inv logs` may not reach it" if said.get("driver") else "no driver is named"
    missing = {"max-size", "max-file"} - said.keys()
    return f"no {' and no '.join(sorted(missing))}" if missing else ""


@rule(
    "H15",
    "started again after any end; a job never",
    "restart: always; unless-stopped stays down when the engine crashes",
)
def restart(case: Case) -> str:
    wanted = "no" if case.service.job else "always"
    return "" if case.posture.restart == wanted else f'restart is "{case.posture.restart}"'


@rule("H25", "the stop signal and the patience that its Service asks for", "stop_signal, stop_grace_period")
def stop(case: Case) -> str:
    found, service = case.posture, case.service
    if found.stop_signal != f"SIG{service.stop_signal}":
        return f"stops by {found.stop_signal or 'what its image says'}, not by SIG{service.stop_signal}"
    if found.stop_grace < int(service.stop_grace):  # the engine counts whole seconds
        return f"is killed after {found.stop_grace:g} s, not {service.stop_grace:g} s"
    return ""


@rule("H26", "an init that hands signals on and ends what is left over", "init: true")
def init(case: Case) -> str:
    return "" if case.posture.init else "its program is process 1"
