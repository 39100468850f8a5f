"""What a container is told on Compose: each promise of docs/compose.md, without an engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import msgspec
import pytest
from compose_cases import STACK, made, peers, plain, whole

from adaf_compose.content import content, folder, in_volumes
from adaf_compose.settings import Settings
from adaf_pipeline.errors import PluginError
from adaf_pipeline.service import (
    File,
    Hardening,
    Limits,
    Port,
    Probe,
    Ref,
    SecretUse,
    Volume,
    argv,
    text,
)

# ------------------------------------------------------------------------------------------------ where things are


def test_refs_are_names_on_networks_and_places_of_mounts() -> None:
    environment = made("web.blue.1")["environment"]
    assert environment == {
        "HOSTNAME": "0.0.0.0",
        "PORT": "3000",
        "DATABASE": "at database-1:5432",
        "CACHE_HOST": "cache-1",
        "PASSWORD_FILE": "/run/secrets/database-app",
    }
    assert made("web.blue.1")["command"] == ["node", "/app/entry.cjs"]
    assert made("web.blue.1")["working_dir"] == "/app"
    assert made("balancer.1")["command"][3:] == [
        "/etc/adaf/haproxy.cfg",
        "-f",
        "/srv/adaf/balancer.1/control/share.cfg",
    ]
    assert 'server "unix:/srv/adaf/balancer.1/edge/http.sock"' in content(STACK["proxy.1"], peers())["nginx.conf"][0]
    assert "server green-1 web-green-1:3000 " in content(STACK["balancer.1"], peers())["haproxy.cfg"][0]
    assert "listen_addresses = '0.0.0.0'" in content(STACK["database.1"], peers())["postgresql.conf"][0]


def test_two_ports_of_one_number_go_up() -> None:
    service = plain(ports=(Port("a"), Port("b", unix="v"), Port("c"), Port("d", usual=8081)), volumes=(Volume("v"),))
    assert [peers().number(service, name) for name in "acd"] == [8080, 8081, 8082]


@pytest.mark.parametrize(
    "ref",
    [
        Ref("endpoint", "database", "replica"),
        Ref("instance", "nobody.1", "http"),
        Ref("instance", "cache.1", "http"),
        Ref("path", "cache.1", "redis.conf"),
        Ref("instance", "cache.1", "redis", "path"),
        Ref("instance", "balancer.1", "http"),
    ],
)
def test_a_ref_that_leads_nowhere_is_a_plugins_mistake(ref: Ref) -> None:
    with pytest.raises(PluginError, match=r"^extra\.1: "):
        made(plain(environment={"A": text(ref)}))


# -------------------------------------------------------------------------------------------------- users, hardening


def test_everybody_is_a_number_of_its_role() -> None:
    users = {i: made(i)["user"] for i in STACK}
    assert users == {
        "proxy.1": "10001:10001",
        "balancer.1": "10002:10002",
        "web.blue.1": "10003:10003",
        "web.green.1": "10003:10003",
        "web.mail.1": "10003:10003",
        "database.1": "10004:10004",
        "cache.1": "10005:10005",
    }
    assert made(plain())["user"] == "10009:10009"


@pytest.mark.parametrize("identity", STACK)
def test_every_container_has_nothing_it_was_not_given(identity: str) -> None:
    found = made(identity)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"] and "cap_add" not in found
    assert found["security_opt"] == ["no-new-privileges=true"]
    assert found["mem_limit"] == found["memswap_limit"]
    assert found["pids_limit"] > 0 and found["cpus"] > 0
    assert found["ulimits"]["nofile"] == {"soft": STACK[identity].limits.files, "hard": STACK[identity].limits.files}
    assert all({"noexec", "nosuid", "nodev"} <= set(re.split("[:,]", mount)) for mount in found["tmpfs"])
    assert found["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert found["restart"] == "always" and found["init"] is True
    assert not found.keys() & {"privileged", "pid", "ipc", "devices", "container_name", "env_file", "secrets"}


def test_what_a_service_needs_more_is_given_with_its_reason() -> None:
    found = made(plain(hardening=Hardening({"NET_BIND_SERVICE": "port 80", "CHOWN": "x"}, writable="writes to /etc")))
    assert (found["read_only"], found["cap_add"]) == (False, ["CHOWN", "NET_BIND_SERVICE"])


def test_limits_are_the_ids_then_the_roles_then_the_services_then_the_default() -> None:
    settings = msgspec.convert(
        {
            "memory_mb": 100,
            "cpus": 0.5,
            "pids": 50,
            "limits": {"extra": {"cpus": 2, "pids": 99}, "extra.1": {"pids": 33}},
        },
        Settings,
    )
    service = plain(limits=Limits(memory_mb=300, cpus=3, files=1000, shared_memory_mb=128))
    found = made(service, settings)
    assert (found["mem_limit"], found["cpus"], found["pids_limit"]) == ("300m", 2, 33)
    assert found["shm_size"] == "128m"
    assert made("cache.1", settings)["mem_limit"] == f"{STACK['cache.1'].limits.memory_mb or 100}m"
    assert "shm_size" not in made(plain())


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "localhost"},
        {"memory_mb": 1},
        {"cpus": 0},
        {"pids": 1},
        {"limits": {"x": {"swap": 1}}},
        {"waivers": [{"rule": "7", "until": "2030-01-01"}]},
        {"waivers": [{"rule": "H07"}]},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Settings)


# ----------------------------------------------------------------------------------------------------------- mounts


def test_mounts_are_directories_that_have_to_be_there() -> None:
    for name, service in whole()["services"].items():
        for mount in service.get("volumes", ()):
            assert mount["type"] == "bind" and mount["bind"] == {"create_host_path": False}, name
            assert PurePath(mount["source"]).suffix in ("", ".1"), name  # no file
            assert "docker.sock" not in mount["source"]
            ours = mount["target"] in ("/etc/adaf", "/run/secrets")
            assert mount.get("read_only", False) is (ours or not mount["target"].startswith(_own(service)))


def _own(service: Mapping[str, Any]) -> str:
    return f"/srv/adaf/{service['labels']['adaf.service']}/"


def test_data_and_sockets_are_on_the_host_and_the_rest_is_in_memory() -> None:
    def places(identity: str) -> dict[str, str]:
        return {mount["target"]: mount["source"] for mount in made(identity)["volumes"]}

    base = "${ADAF_STATE:-/var/lib/adaf/prod}"
    assert places("database.1") == {
        "/etc/adaf": "./db",
        "/run/secrets": f"{base}/delivered/database.1",
        "/srv/adaf/database.1/data": f"{base}/volumes/database.1/data",
    }
    assert made("database.1")["tmpfs"][1:] == [
        "/srv/adaf/database.1/sockets:noexec,nosuid,nodev,size=64m,uid=10004,gid=10004,mode=0700"
    ]
    socket = {"/srv/adaf/balancer.1/edge": f"{base}/volumes/balancer.1/edge"}
    assert socket.items() <= places("balancer.1").items() and socket.items() <= places("proxy.1").items()
    assert set(places("proxy.1")) == {"/etc/adaf", *socket} | (
        {"/run/secrets"} if STACK["proxy.1"].secrets else set()
    ) | {f"/srv/adaf/proxy.1/{v.name}" for v in STACK["proxy.1"].volumes if v.persistent or v.shared}


def test_directories_are_named_as_people_look_for_them() -> None:
    assert {i: folder(s) for i, s in STACK.items()} == {
        "database.1": "db",
        "cache.1": "redis",
        "balancer.1": "haproxy",
        "proxy.1": "nginx",
        "web.blue.1": "web-blue-1",
        "web.green.1": "web-green-1",
        "web.mail.1": "web-mail-1",
    }
    assert folder(replace(STACK["database.1"], id="database.2")) == "database-2"


def test_a_file_of_a_volume_is_not_in_the_configuration() -> None:
    assert "share.cfg" not in content(STACK["balancer.1"], peers())
    (share,) = in_volumes(STACK["balancer.1"], peers())
    assert (share.volume, share.name, share.initial, share.mode) == ("control", "share.cfg", True, 0o644)


# ------------------------------------------------------------------------------------------------- start, life, probe


def test_a_start_script_only_where_something_comes_before_the_program() -> None:
    for identity, service in STACK.items():
        has = bool(service.gate) or any(use.env for use in service.secrets)
        assert made(identity)["entrypoint"] == (["/bin/sh", "/etc/adaf/start"] if has else [])
        assert ("start" in content(service, peers())) is has
    assert {i for i in STACK if "start" in content(STACK[i], peers())} >= {"database.1", "cache.1"}


def test_the_start_script_runs_the_gate_then_reads_secrets_then_becomes_the_program() -> None:
    use = SecretUse("database-app", "URL", text("pg://app:"), text("@", Ref("endpoint", "database", "primary")))
    service = plain(gate=argv("/bin/sh", Ref("path", "extra.1", "gate.sh"), "a b"), secrets=(use,))
    script = content(service, peers())["start"][0]
    assert script.startswith("#!/bin/sh\n") and script.endswith('exec "$@"\n')
    assert "/bin/sh /etc/adaf/gate.sh 'a b' || {" in script
    assert script.index("gate.sh") < script.index("$(cat /run/secrets/database-app)") < script.index("exec")
    assert "database-1:5432" in script
    assert made(service)["command"] == ["run"] and "environment" not in made(service)


@pytest.mark.parametrize("name", ["start", "probe"])
def test_a_plugin_may_not_use_the_names_of_the_runtimes_files(name: str) -> None:
    service = plain(files=(File(name, text("x")),), gate=argv("g"), ports=(Port("p"),), ready=Probe("p"))
    with pytest.raises(PluginError, match=f"{name} is a file"):
        content(service, peers())


def test_the_probe_asks_what_the_service_says() -> None:
    check = made("web.blue.1")["healthcheck"]
    assert check["test"] == ["CMD", "perl", "/etc/adaf/probe", "127.0.0.1:3000", "2", "/ready", "localhost"]
    assert (check["interval"], check["timeout"], check["start_interval"]) == ("10s", "3500ms", "500ms")
    assert check["start_period"] == "30s" and check["retries"] == 3
    assert made("balancer.1")["healthcheck"]["test"][3] == "/srv/adaf/balancer.1/edge/http.sock"
    assert made("cache.1")["healthcheck"]["test"][3:] == ["127.0.0.1:6379", "2"]
    assert "healthcheck" not in made("web.mail.1") and "probe" not in content(STACK["web.mail.1"], peers())


def test_a_job_runs_once_and_not_by_hand() -> None:
    found = made(plain(job=True))
    assert (found["restart"], found["profiles"]) == ("no", ["job"])


def test_ends_as_its_service_says() -> None:
    assert (made("database.1")["stop_signal"], made("database.1")["stop_grace_period"]) == ("SIGINT", "60s")


def test_what_is_made_here_is_never_looked_for_elsewhere() -> None:
    assert made("cache.1")["pull_policy"] == "never"
    assert "pull_policy" not in made("cache.1", image="redis@sha256:" + "0" * 64)


def test_a_file_in_a_volume_in_memory_is_refused() -> None:
    service = plain(volumes=(Volume("scratch", persistent=False),), files=(File("seed", text("x"), volume="scratch"),))
    with pytest.raises(PluginError, match=r"extra\.1: seed is a file of scratch, which is in memory"):
        made(service)
