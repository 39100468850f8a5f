"""The rules of hardening: our own stack keeps them all, and each is seen when it is broken, in the file and live."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import msgspec
import pytest
from compose_cases import STACK, peers, plain, whole
from hardening_breaks import LIVE, PLAN, Break

from adaf_compose import networks
from adaf_compose.hardening.check import checked
from adaf_compose.hardening.live import live
from adaf_compose.hardening.planned import planned
from adaf_compose.hardening.posture import Delivered, Posture
from adaf_compose.hardening.rules import RULES, Case
from adaf_compose.settings import Settings, Waiver
from adaf_pipeline.roles import Checked
from adaf_pipeline.service import Hardening, Service

TODAY = datetime.date(2026, 3, 1)
RECORDED = json.loads((Path(__file__).with_name("inspected") / "proxy.json").read_text())
STATE = PurePath(RECORDED["container"]["Config"]["Labels"]["com.docker.compose.project.working_dir"])
SECRETS = frozenset({"planted-value"})
NOBODY = Service("", "", ())


def case(
    posture: Posture, service: Service | None = None, settings: Settings | None = None, state: PurePath = STATE
) -> Case:
    service = service or STACK.get(posture.subject, NOBODY)
    settings = settings or Settings()
    tiers = networks.joined(service, peers(service), settings) if service.id else ()
    known = peers(service)
    public = frozenset(known.number(service, port.name) for port in service.ports if port.public)
    mounts = {each.subject: frozenset(m.source for m in each.mounts) for each in planned(document(state))}
    own = mounts.get(posture.subject, frozenset())
    return Case(posture, service, settings, state, frozenset(tiers), public, own, SECRETS)


def failed(found: Case, waivers: tuple[Waiver, ...] = ()) -> list[Checked]:
    return [each for each in checked([found], waivers, TODAY) if not each.ok]


def of_plan(document: Any) -> Posture:
    return next(posture for posture in planned(document) if posture.subject == "proxy.1")


def document(state: PurePath) -> Any:
    made = whole()
    made["x-adaf"]["state"] = str(state)
    made = copy.deepcopy(made)
    return json.loads(json.dumps(made).replace("/var/lib/adaf/prod", str(state)))


def inspected(state: PurePath) -> Any:
    return json.loads(json.dumps(RECORDED["container"]).replace(str(STATE), str(state)))


def at(value: Any, state: PurePath) -> Any:
    return json.loads(json.dumps(value).replace("{state}", str(state)))


@pytest.fixture
def state(tmp_path: Path) -> PurePath:
    """Of a stack that has one file too many."""
    (tmp_path / "single").touch()
    (tmp_path / "elsewhere").symlink_to("/mnt")
    return PurePath(tmp_path)


def test_our_own_file_keeps_every_rule() -> None:
    found = list(checked(map(case, planned(whole())), (), TODAY))
    assert [each for each in found if not each.ok] == []
    assert {each.rule for each in found} == RULES.keys()
    assert len(found) == len(RULES) * len(STACK)


def test_a_container_of_ours_keeps_every_rule() -> None:
    found = live(RECORDED["container"], "prod", RECORDED["networks"], RECORDED["engine"])
    assert found.subject == "proxy.1"
    assert failed(case(found)) == []


def test_there_is_a_break_of_every_rule_in_the_file_and_live() -> None:
    assert {rule for rule, _, _ in PLAN} == RULES.keys()
    assert {rule for rule, _, _ in LIVE} == RULES.keys()


@pytest.mark.parametrize(("rule", "broken", "said"), PLAN, ids=[f"{r}-{s}" for r, _, s in PLAN])
def test_a_rule_that_is_broken_in_the_file_is_seen(rule: str, broken: Break, said: str, state: PurePath) -> None:
    made = document(state)
    broken(made["services"]["proxy-1"])
    found = failed(case(of_plan(at(made, state)), state=state))
    assert (rule, said.format(state=state)) in [(each.rule, each.found) for each in found]
    assert {each.where for each in found} == {"plan"}


@pytest.mark.parametrize(("rule", "broken", "said"), LIVE, ids=[f"{r}-{s}" for r, _, s in LIVE])
def test_a_rule_that_is_broken_live_is_seen(rule: str, broken: Break, said: str, state: PurePath) -> None:
    made = inspected(state)
    broken(made)
    posture = live(at(made, state), "prod", RECORDED["networks"], RECORDED["engine"])
    found = failed(case(posture, state=state))
    assert (rule, said.format(state=state)) in [(each.rule, each.found) for each in found]
    assert {each.where for each in found} == {"live"}


def test_a_break_is_seen_by_its_own_rule_and_few_others() -> None:
    """One that makes everything fail would prove nothing."""
    for rule, broken, _said in PLAN:
        made = document(STATE)
        broken(made["services"]["proxy-1"])
        found = {each.rule for each in failed(case(of_plan(at(made, STATE))))}
        assert len(found | {rule}) <= 3, (rule, found)


def test_a_network_that_is_not_internal_is_seen() -> None:
    made = whole()
    made["networks"]["database"] = {}
    found = [f for posture in planned(made) for f in failed(case(posture))]
    assert {(f.rule, f.found) for f in found} == {("H17", "the network database is not internal")}
    assert {f.subject for f in found} >= {"database.1", "web.blue.1"}
    networks_seen = {key: {**value, "Internal": False} for key, value in RECORDED["networks"].items()}
    assert failed(case(live(RECORDED["container"], "prod", networks_seen, RECORDED["engine"]))) == []  # edge may be


def test_a_port_of_who_has_no_visitors_is_not_published() -> None:
    made = whole()
    made["services"]["database-1"]["ports"] = ["127.0.0.1:5432:5432"]
    found = [f for posture in planned(made) for f in failed(case(posture))]
    assert [(f.rule, f.subject, f.found) for f in found] == [("H18", "database.1", "publishes port 5432")]


def test_a_public_port_on_all_addresses_is_no_stated_address() -> None:
    settings = Settings(address="0.0.0.0")
    found = [f for posture in planned(whole(settings)) for f in failed(case(posture, settings=settings))]
    assert [(f.rule, f.subject) for f in found] == [("H18", "proxy.1")]


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        (Delivered("one", 0, 0o400), "/run/secrets/one belongs to 0, not to 10001"),
        (Delivered("one", 10001, 0o440), "/run/secrets/one has the mode 0440"),
        (Delivered(".", 10001, 0o755), "/run/secrets/. has the mode 0755"),
    ],
)
def test_secrets_on_the_disk_are_their_users_alone(lies: Delivered, said: str) -> None:
    found = replace(live(RECORDED["container"], "prod", RECORDED["networks"]), delivered=(lies,))
    assert [(f.rule, f.found) for f in failed(case(found))] == [("H22", said)]


def test_what_is_delivered_is_read_from_the_disk(tmp_path: Path) -> None:
    place = tmp_path / "delivered" / "proxy.1"
    place.mkdir(parents=True, mode=0o700)
    (place / "edge-probe").write_text("x")
    (place / "edge-probe").chmod(0o404)
    found = live(inspected(PurePath(tmp_path)), "prod", RECORDED["networks"]).delivered
    assert [(d.name, oct(d.mode)) for d in found] == [(".", "0o700"), ("edge-probe", "0o404")]


def test_an_engine_without_seccomp_confines_nobody() -> None:
    for engine in (["name=cgroupns"], ["name=seccomp,profile=unconfined"]):
        found = failed(case(live(RECORDED["container"], "prod", RECORDED["networks"], engine)))
        assert [(f.rule, f.found) for f in found] == [("H07", "seccomp=unconfined")]


def test_what_a_service_declares_with_a_reason_is_allowed() -> None:
    service = replace(STACK["proxy.1"], hardening=Hardening({"CHOWN": "of its cache"}, writable="it compiles"))
    made = whole()
    made["services"]["proxy-1"] |= {"cap_add": ["CHOWN"], "read_only": False}
    assert failed(case(of_plan(made), service)) == []
    assert [f.rule for f in failed(case(of_plan(made)))] == ["H02", "H05"]


def test_a_job_is_not_started_again_and_somebody_elses_container_is_asked_for_all() -> None:
    job = plain(id="job.1", job=True)
    posture = of_plan(whole())
    assert "H15" in {f.rule for f in failed(case(replace(posture, subject="job.1"), job))}
    assert "H15" not in {f.rule for f in failed(case(replace(posture, subject="job.1", restart="no"), job))}
    stranger = {f.rule for f in failed(case(Posture(subject="somebody", where="live", image="busybox")))}
    assert stranger == RULES.keys() - {"H03", "H05", "H07", "H16", "H17", "H18", "H19", "H20", "H21", "H22", "H23"}


# ------------------------------------------------------------------------------------------------------- waivers


def waiver(**more: Any) -> Waiver:
    return Waiver(**{"rule": "H11", "reason": "it forks", "until": datetime.date(2026, 3, 1), **more})


def broken() -> Case:
    return case(replace(of_plan(whole()), pids=0))


@pytest.mark.parametrize("service", ["", "proxy.1", "proxy"])
def test_a_waiver_counts_to_its_last_day(service: str) -> None:
    (found,) = failed(broken(), (waiver(service=service),))
    assert (found.rule, found.ok, found.waived) == ("H11", False, "it forks (until 2026-03-01)")


def test_a_waiver_that_has_ended_is_named_and_does_not_count() -> None:
    old = waiver(until=datetime.date(2026, 2, 28))
    (found,) = failed(broken(), (old,))
    assert not found.waived
    assert found.found.endswith("; its waiver ended on 2026-02-28")
    (found,) = failed(broken(), (old, waiver(reason="again")))
    assert found.waived == "again (until 2026-03-01)"


def test_a_waiver_is_for_its_rule_and_its_service_alone() -> None:
    assert not failed(broken(), (waiver(rule="H10"),))[0].waived
    found = {f.rule: f for f in failed(broken(), (waiver(service="database"),))}
    assert not found["H11"].waived
    assert found["H00"].found == "database is neither a service nor a role of this stack"


def test_a_waiver_of_no_rule_is_a_slip() -> None:
    found = {f.rule: f.found for f in failed(broken(), (waiver(rule="H99"),))}
    assert found["H00"] == "H99 is no rule"


@pytest.mark.parametrize("said", [{}, {"reason": ""}, {"reason": "  "}])
def test_a_waiver_needs_a_reason(said: Mapping[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"rule": "H11", "until": "2030-01-01", **said}, Waiver)


def test_a_hint_says_what_to_write() -> None:
    for rule in RULES.values():
        assert rule.hint
        assert rule.title


def all_lines() -> Iterator[str]:
    yield from (Path(__file__).parents[2] / "docs" / "hardening.md").read_text().splitlines()


def test_the_page_has_every_rule_in_its_own_words() -> None:
    written = dict(line.split(" | ")[0:2] for line in all_lines() if line.startswith("| H"))
    assert {key.strip("| "): value for key, value in written.items()} == {r.id: r.title for r in RULES.values()}
