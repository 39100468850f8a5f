"""The file of a stack on Compose: its networks, its bytes, and what is not in it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml
from compose_cases import STACK, STATE, made, peers, plain, whole

from adaf_compose import networks
from adaf_compose.content import content
from adaf_compose.document import document, dump, load
from adaf_compose.entry import entry
from adaf_compose.peers import Peers, dns
from adaf_compose.settings import Settings
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.service import (
    File,
    Hardening,
    argv,
    text,
)

# --------------------------------------------------------------------------------------------------------- networks


def test_networks_are_those_of_who_is_asked() -> None:
    found = {i: made(i)["networks"] for i in STACK}
    assert found == {
        "database.1": ["database"],
        "cache.1": ["cache"],  # and so cannot reach the database
        "balancer.1": ["app", "balancer"],
        "proxy.1": ["edge"],
        "web.blue.1": ["app", "cache", "database"],
        "web.green.1": ["app", "cache", "database"],
        "web.mail.1": ["database"],
    }


def test_only_the_edge_is_not_internal_and_only_the_proxy_is_published() -> None:
    found = whole()
    assert {name for name, said in found["networks"].items() if not said.get("internal")} == {"edge"}
    assert found["networks"]["edge"]["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert {name for name, service in found["services"].items() if "ports" in service} == {"proxy-1"}
    assert found["services"]["proxy-1"]["ports"] == [
        {"target": 8080, "host_ip": "127.0.0.1", "published": "20001", "protocol": "tcp"}
    ]
    assert made("proxy.1", Settings(address="::1"))["ports"][0]["host_ip"] == "::1"


def test_who_listens_is_on_its_network_before_anybody_asks() -> None:
    database = STACK["database.1"]
    alone = entry(database, Peers({database.id: database}), Settings(), "adaf/x:1", state=STATE)
    assert alone == made("database.1")


def test_who_may_go_out_is_on_a_network_of_its_role_that_leads_out() -> None:
    settings = Settings(egress=("app",))
    assert made("web.blue.1", settings)["networks"] == ["app", "cache", "database", "egress-app"]
    assert made("web.mail.1", settings)["networks"] == ["database"]
    assert made(plain(hardening=Hardening(egress=True)))["networks"] == ["egress-extra"]
    assert networks.definitions(["app", "egress-app"]) == {"app": {"internal": True}, "egress-app": {}}


def test_who_talks_to_nobody_has_no_network() -> None:
    found = made(plain())
    assert found["network_mode"] == "none" and "networks" not in found


# --------------------------------------------------------------------------------------------------------- the file


def test_the_same_services_give_the_same_bytes() -> None:
    first, again = dump(whole()), dump(whole())
    backwards = document("prod", STATE, {dns(i): made(i) for i in reversed(list(STACK))})
    assert first == again == dump(backwards)
    assert first == dump(load(first))  # what was written is what is read


def test_labels_say_what_runs_and_change_with_what_is_rendered() -> None:
    labels = made("web.blue.1")["labels"]
    assert labels["adaf.service"] == "web.blue.1" and labels["adaf.digest"] == STACK["web.blue.1"].digest()
    assert (labels["adaf.role"], labels["adaf.colour"], labels["adaf.package"]) == ("app", "blue", "r1")
    other = made("web.blue.1", Settings(cpus=0.7))["labels"]
    assert other["adaf.digest"] == labels["adaf.digest"] and other["adaf.rendered"] != labels["adaf.rendered"]
    changed = replace(STACK["cache.1"], files=(*STACK["cache.1"].files, File("more.conf", text("x"))))
    assert made(changed)["labels"]["adaf.rendered"] != made("cache.1")["labels"]["adaf.rendered"]


def test_dependencies_are_those_that_are_in_the_file() -> None:
    found = whole()["services"]
    healthy = {"condition": "service_healthy"}
    assert found["web-blue-1"]["depends_on"] == {"cache-1": healthy, "database-1": healthy}
    alone = document("prod", STATE, {"proxy-1": made("proxy.1")})
    assert "depends_on" not in alone["services"]["proxy-1"]


def test_no_value_is_read_as_something_else() -> None:
    odd = {
        "A": "no",
        "B": "0o14",
        "C": "$HOME ${X:-y} $$",
        "D": "1:30",
        "E": "~",
        "F": "é\n\t'\"",
        "G": "null",
        "H": "y",
    }
    service = plain(environment={name: text(value) for name, value in odd.items()}, argv=argv("run", "$1", "#x: y"))
    written = dump(document("prod", STATE, {"extra-1": made(service)}))
    back = yaml.safe_load(written)["services"]["extra-1"]
    assert {n: v.replace("$$", "$") for n, v in back["environment"].items()} == odd
    assert back["command"] == ["run", "$$1", "#x: y"]
    for value in ("no", "0o14", "1:30", "null", "y"):
        assert f': "{value}"' in written  # quoted: other readers know other words
    assert not re.search(r"(?<!\$)(\$\$)*\$(?![${])", written.replace("${ADAF_STATE:-", ""))


def test_no_secret_can_be_in_what_is_rendered() -> None:
    """The renderer gets no values: all that a secret leaves is its path."""
    everything = dump(whole()) + "".join(
        body for service in STACK.values() for body, _mode in content(service, peers()).values()
    )
    found = set(re.findall(r"[\w/.{}$:-]*(?:database|cache)-(?:app|admin)\b", everything))
    assert found and all(f.startswith("/run/secrets/") for f in found)


@pytest.mark.parametrize("wrong", ["", "[]", "services: 5", "services: {a: 1}", "a: [", "a: b: c"])
def test_a_file_that_is_not_ours_is_refused(wrong: str) -> None:
    with pytest.raises(PreconditionError, match=r"^x\.yml: "):
        load(wrong, "x.yml")


def test_the_header_says_what_to_do_with_the_file() -> None:
    header = [line for line in dump(whole()).splitlines() if line.startswith("#")]
    assert "edits are lost" in header[0] and "docker compose -f docker-compose.prod.yml up -d" in header[1]
    assert "/var/lib/adaf/prod" in header[2]
