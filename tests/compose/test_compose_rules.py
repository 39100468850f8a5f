"""The rules of hardening on a real engine: what we start keeps all of them, and what others start is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines import docker
from prod import BASE, Prod

STATE = Path("/var/lib/adaf")


def security(prod: Prod) -> dict[str, Any]:
    done = prod.run("doctor", "--security", "--json")
    document: dict[str, Any] = done.document
    assert done.code == (0 if document["ok"] else 1)
    return document


def sums(document: dict[str, Any], where: str) -> tuple[int, int]:
    return tuple(sum(row[where][key] for row in document["rules"]) for key in ("passed", "checked"))  # type: ignore[return-value]


def test_our_own_stack_keeps_every_rule_in_the_file_and_live(prod: Prod) -> None:
    document = security(prod)
    assert (document["ok"], document["broken"]) == (True, [])
    for where in ("plan", "live"):
        passed, checked = sums(document, where)
        print(f"rules, {where}: {passed} of {checked}")
        assert passed == checked >= 26 * 6


def test_somebody_elses_container_on_a_network_of_ours_is_seen(prod: Prod) -> None:
    """All that `docker run` gives who says nothing, in one."""
    made = docker(
        "run", "-d", "--network", f"{prod.name}_database", "--name", f"{prod.name}-stranger", BASE, "sleep", "60"
    )
    try:
        found = {each["rule"] for each in security(prod)["broken"] if each["service"] == f"{prod.name}-stranger"}
    finally:
        docker("rm", "-f", made)
    # logs are bounded by this engine's own settings, and the control group's namespace is the host's under version 1
    assert found - {"H14", "H16"} == {f"H{n:02}" for n in (1, 2, 4, 6, 8, 9, 10, 11, 12, 13, 15, 17, 24, 25, 26)}


ROUGH: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("--privileged",), "H16", "privileged"),
    (("--pid=host",), "H16", "pid: host"),
    (("--network=host",), "H16", "network_mode: host"),
    (("--cap-add=SYS_PTRACE",), "H05", "added: SYS_PTRACE"),
    (("--security-opt=seccomp=unconfined",), "H07", "seccomp=unconfined"),
    (("--security-opt=systempaths=unconfined",), "H07", "systempaths=unconfined"),
    (("--security-opt=seccomp={lax}",), "H07", "seccomp of its own"),
    (("--device-cgroup-rule=c 10:200 rwm",), "H16", "devices c 10:200 rwm"),
    (("--publish=127.0.0.1::99",), "H18", "publishes port 99"),
    (("--publish-all",), "H18", "publishes every port of its image"),
    (("--volume=/run:/x",), "H19", "/run is the host's"),
    (("--volume=/x",), "H20", "/x is a volume of the engine's"),
    (("--volume={file}:/x:ro",), "H20", "/x is a single file: it stays the old one when a new one is written"),
    (("--volume={state}/delivered:/x:ro",), "H20", "/delivered is none of its own"),
    (("--volume={state}/db:/x",), "H21", "/x"),
    (("--env=DB_PASSWORD=x",), "H23", "DB_PASSWORD is in its environment"),
    (("--tmpfs=/x:exec",), "H03", "/x without nodev, noexec, nosuid, size"),
    (("--tmpfs=/x:noexec,nosuid,nodev,size=1m,exec",), "H03", "/x with exec"),
    (("--mount=type=tmpfs,target=/x",), "H03", "/x without nodev, noexec, nosuid, size"),
    (("--restart=unless-stopped",), "H15", 'restart is "unless-stopped"'),
)  # fmt: skip


@pytest.mark.parametrize(("flags", "rule", "said"), ROUGH, ids=[" ".join(flags) for flags, _, _ in ROUGH])
def test_what_the_engine_says_of_a_container_is_read_right(
    prod: Prod, flags: tuple[str, ...], rule: str, said: str, cleanup: Callable[[str], None], tmp_path: Path
) -> None:
    state, lax = STATE / prod.name, tmp_path / "lax.json"
    lax.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    words = [flag.format(state=state, file=state / "docker-compose.prod.yml", lax=lax) for flag in flags]
    label = f"--label=com.docker.compose.project={prod.name}"
    name = f"{prod.name}-rough"
    cleanup(name)
    docker("create", "--name", name, label, *words, BASE, "true")
    found = [(each["rule"], each["found"]) for each in security(prod)["broken"] if each["service"] == name]
    assert any(found_rule == rule and said in text for found_rule, text in found), found


@pytest.fixture
def cleanup() -> Any:
    names: list[str] = []
    yield names.append
    for name in names:
        docker("rm", "-f", "-v", name)


def test_a_secret_that_others_may_read_is_seen(prod: Prod) -> None:
    (place,) = (STATE / prod.name / "delivered" / "database.1").glob("database-admin")
    place.chmod(0o444)
    try:
        found = [(each["rule"], each["service"], each["found"]) for each in security(prod)["broken"]]
    finally:
        place.chmod(0o400)
    assert found == [("H22", "database.1", "/run/secrets/database-admin has the mode 0444")]


def test_a_waiver_in_the_overlay_lets_the_plan_pass_until_its_day(prod: Prod) -> None:
    waived = "address: 0.0.0.0, waivers: [{{rule: H18, reason: no second address, until: {day}}}],"
    try:
        for day, code in (("2999-12-31", True), ("2020-01-01", False)):
            prod.configure()
            file = prod.folder / f"adaf.{prod.name}.yaml"
            told = file.read_text().replace("use: compose,", f"use: compose, {waived.format(day=day)}")
            file.write_text(told)
            document = security(prod)
            assert document["ok"] is code
            assert {(each["rule"], bool(each["waived"])) for each in document["broken"]} == {("H18", code)}
    finally:
        prod.configure()
