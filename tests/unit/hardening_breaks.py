"""Each rule of hardening broken once in the file and once in what the engine says: what was done, and what is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Break = Callable[[Any], object]
TOLD = "its command, health check or a label has a secret"
SINGLE = "/x is a single file: it stays the old one when a new one is written"


def bind(source: str, target: str = "/x", **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, "read_only": True, **more}


def seen(source: str, target: str = "/x", **more: Any) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Destination": target, "RW": False, "Propagation": "rprivate", **more}


def host(**more: Any) -> Break:
    return lambda c: c["HostConfig"].update(more)


def config(**more: Any) -> Break:
    return lambda c: c["Config"].update(more)


def mounted(**more: Any) -> Break:
    return lambda c: c["Mounts"].append(seen(**more))


def put(**more: Any) -> Break:
    return lambda e: e.update(more)


# in the file: rule, the change, what is found
PLAN: list[tuple[str, Break, str]] = [
    ("H01", lambda e: e.pop("user"), "no user: the image's, or root"),
    ("H01", put(user="nginx"), 'user is "nginx"'),
    ("H01", put(user="0:0"), "user 0:0 is root, or in root's group"),
    ("H01", put(user="10001:0"), "user 10001:0 is root, or in root's group"),
    ("H01", put(group_add=["docker"]), "further groups: docker"),
    ("H02", lambda e: e.pop("read_only"), "its root file system can be written"),
    ("H03", lambda e: e["tmpfs"].append("/work:nosuid,nodev,size=1m"), "/work without noexec"),
    ("H03", lambda e: e["tmpfs"].append("/work"), "/work without nodev, noexec, nosuid, size"),
    ("H03", lambda e: e["tmpfs"].append("/work:noexec,nosuid,nodev,exec,size=1m"), "/work with exec"),
    ("H03", lambda e: e["tmpfs"].append("/work:noexec,nosuid,nodev,size=0"), "/work without size"),
    ("H04", put(cap_drop=["NET_RAW"]), "dropped: NET_RAW"),
    ("H05", put(cap_add=["CAP_SYS_ADMIN"]), "added: SYS_ADMIN"),
    ("H06", lambda e: e.pop("security_opt"), "a setuid program would make it root"),
    ("H06", put(security_opt=["no-new-privileges:false"]), "a setuid program would make it root"),
    ("H06", lambda e: e["security_opt"].append("no-new-privileges=false"), "a setuid program would make it root"),
    ("H07", lambda e: e["security_opt"].append("seccomp:unconfined"), "seccomp=unconfined"),
    ("H07", lambda e: e["security_opt"].append("seccomp=./lax.json"), "seccomp of its own"),
    ("H07", lambda e: e["security_opt"].append("label:disable"), "label=disable"),
    ("H07", lambda e: e["security_opt"].append("apparmor=unconfined"), "apparmor=unconfined"),
    ("H07", lambda e: e["security_opt"].append("systempaths=unconfined"), "systempaths=unconfined"),
    ("H08", lambda e: (e.pop("mem_limit"), e.pop("memswap_limit")), "it may take all memory of the host"),
    ("H09", lambda e: e.pop("memswap_limit"), "swap without a limit"),
    ("H09", put(memswap_limit="1g"), "memory and swap 1024 MB, memory 512 MB"),
    ("H09", put(memswap_limit=-1), "swap without a limit"),
    ("H10", lambda e: e.pop("cpus"), "it may take every core of the host"),
    ("H11", lambda e: e.pop("pids_limit"), "it may start as many as the host can"),
    ("H12", lambda e: e["ulimits"].pop("nofile"), "open files without a limit of its own"),
    ("H12", lambda e: e["ulimits"].pop("core"), "core dumps are written"),
    ("H13", lambda e: e.pop("healthcheck"), "nobody looks whether it answers"),
    ("H13", put(healthcheck={"test": ["NONE"]}), "nobody looks whether it answers"),
    ("H13", lambda e: e["healthcheck"].update(disable=True), "nobody looks whether it answers"),
    ("H14", lambda e: e["logging"]["options"].pop("max-size"), "no max-size"),
    ("H14", lambda e: e.pop("logging"), "no driver is named"),
    ("H15", put(restart="unless-stopped"), 'restart is "unless-stopped"'),
    ("H15", lambda e: e.pop("restart"), 'restart is "no"'),
    ("H16", put(privileged=True), "privileged"),
    ("H16", put(pid="host"), "pid: host"),
    ("H16", lambda e: (e.pop("networks"), e.update(network_mode="host")), "network_mode: host"),
    ("H16", put(devices=["/dev/kvm:/dev/kvm"]), "device /dev/kvm:/dev/kvm"),
    ("H16", put(device_cgroup_rules=["c 10:200 rwm"]), "devices c 10:200 rwm"),
    ("H17", lambda e: e["networks"].append("database"), "is on the network database"),
    ("H17", lambda e: e["networks"].append("egress-proxy"), "is on the network egress-proxy"),
    ("H17", lambda e: e.pop("networks"), "is on the network default"),
    ("H18", lambda e: e["ports"][0].pop("host_ip"), "port 8080 is published on every address of the host"),
    ("H18", put(ports=["8080:8080"]), "port 8080 is published on every address of the host"),
    ("H18", put(ports=["0.0.0.0:8080:8080/tcp"]), "port 8080 is published on every address of the host"),
    ("H18", lambda e: e["ports"][0].update(host_ip="10.0.0.7"), "port 8080 is published on 10.0.0.7, not on 127.0.0.1"),
    ("H18", lambda e: e["ports"].append("127.0.0.1:9:9"), "publishes port 9"),
    ("H19", lambda e: e["volumes"].append(bind("/var/run/docker.sock")), "/var/run/docker.sock gives it the host"),
    ("H19", lambda e: e["volumes"].append("/etc/ssl:/x:ro"), "/etc/ssl is the host's"),
    ("H19", lambda e: e["volumes"].append(bind("/")), "/ is the host's"),
    ("H19", lambda e: e["volumes"].append(bind("{state}")), "{state} holds the whole stack"),
    ("H20", lambda e: e["volumes"].append({"type": "volume", "target": "/x"}), "/x is a volume of the engine's"),
    ("H20", lambda e: e["volumes"].append("data:/x:ro"), "/x is a volume of the engine's"),
    ("H20", lambda e: e["volumes"].append(bind("/mnt/disk")), "/mnt/disk is not below {state}"),
    ("H20", lambda e: e["volumes"].append(bind("./nginx/../../other")), "{state}/nginx/../../other is not below {state}"),
    ("H20", lambda e: e["volumes"].append(bind("./single")), SINGLE),
    ("H20", lambda e: e["volumes"].append(bind("./delivered/cache.1")), "{state}/delivered/cache.1 is none of its own"),
    (
        "H20",
        lambda e: e["volumes"].append(bind("./nginx", bind={"propagation": "rshared"})),
        "/x passes mounts on (rshared)",
    ),
    ("H21", lambda e: e["volumes"].append({"type": "bind", "source": "./db", "target": "/x"}), "/x"),
    ("H21", lambda e: e["volumes"].append("./db:/x"), "/x"),
    ("H22", put(secrets=["database-app"]), "secrets or configs of Compose: database-app"),
    (
        "H22",
        lambda e: e["volumes"].append(bind("./delivered/x/one", "/run/secrets/one")),
        "/run/secrets/one is mounted alone",
    ),
    ("H23", put(environment={"REDIS_PASSWORD": "x"}), "REDIS_PASSWORD is in its environment"),
    ("H23", put(environment={"WHERE": "postgresql://app:x@db/app"}), "the value of WHERE is or has a secret"),
    ("H23", put(environment={"SEED": "planted-value"}), "the value of SEED is or has a secret"),
    ("H23", put(environment={"REDISCLI_AUTH": "x"}), "REDISCLI_AUTH is in its environment"),
    ("H23", lambda e: e["command"].append("--key=planted-value"), TOLD),
    ("H23", lambda e: e["labels"].update(note="planted-value"), TOLD),
    ("H23", lambda e: e["healthcheck"].update(test="redis-cli -a planted-value ping"), TOLD),
    ("H24", put(image="nginx:1.27"), "nginx:1.27 may be another one tomorrow"),
    ("H24", put(image="adaf/nginx:latest"), "adaf/nginx:latest may be another one tomorrow"),
    ("H24", lambda e: e.pop("pull_policy"), "a registry may be asked for adaf/x:1"),
    ("H25", lambda e: e.pop("stop_signal"), "stops by what its image says, not by SIGQUIT"),
    ("H25", put(stop_signal="SIGKILL"), "stops by SIGKILL, not by SIGQUIT"),
    ("H25", put(stop_grace_period="1500ms"), "is killed after 1.5 s, not 10 s"),
    ("H26", lambda e: e.pop("init"), "its program is process 1"),
]  # fmt: skip

# of the container that runs
LIVE: list[tuple[str, Break, str]] = [
    ("H01", config(User=""), "no user: the image's, or root"),
    ("H01", config(User="0:10001"), "user 0:10001 is root, or in root's group"),
    ("H01", host(GroupAdd=["999"]), "further groups: 999"),
    ("H02", host(ReadonlyRootfs=False), "its root file system can be written"),
    ("H03", lambda c: c["HostConfig"]["Tmpfs"].update({"/work": "size=1m"}), "/work without nodev, noexec, nosuid"),
    (
        "H03",
        lambda c: c["HostConfig"]["Mounts"].append({"Type": "tmpfs", "Target": "/work"}),
        "/work without nodev, noexec, nosuid, size",
    ),
    ("H04", host(CapDrop=None), "dropped: none"),
    ("H05", host(CapAdd=["CAP_NET_BIND_SERVICE"]), "added: NET_BIND_SERVICE"),
    ("H06", host(SecurityOpt=None), "a setuid program would make it root"),
    ("H07", host(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]), "seccomp=unconfined"),
    (
        "H07",
        host(SecurityOpt=["no-new-privileges", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']),
        "seccomp of its own",
    ),
    ("H07", host(MaskedPaths=[]), "systempaths=unconfined"),
    ("H07", host(ReadonlyPaths=[]), "systempaths=unconfined"),
    ("H08", host(Memory=0), "it may take all memory of the host"),
    ("H09", host(MemorySwap=0), "swap without a limit"),
    ("H09", host(MemorySwap=-1), "swap without a limit"),
    ("H09", host(MemorySwap=1 << 30), "memory and swap 1024 MB, memory 512 MB"),
    ("H10", host(NanoCpus=0), "it may take every core of the host"),
    ("H11", host(PidsLimit=None), "it may start as many as the host can"),
    ("H11", host(PidsLimit=-1), "it may start as many as the host can"),
    ("H12", host(Ulimits=None), "open files without a limit of its own"),
    ("H13", config(Healthcheck=None), "nobody looks whether it answers"),
    ("H13", config(Healthcheck={"Test": ["NONE"]}), "nobody looks whether it answers"),
    ("H14", host(LogConfig={"Type": "json-file", "Config": {}}), "no max-file and no max-size"),
    (
        "H14",
        host(LogConfig={"Type": "syslog", "Config": None}),
        "driver syslog: `inv logs` may not reach it",
    ),
    ("H15", host(RestartPolicy={"Name": "unless-stopped"}), 'restart is "unless-stopped"'),
    ("H15", host(RestartPolicy={"Name": ""}), 'restart is "no"'),
    ("H16", host(Privileged=True), "privileged"),
    ("H16", host(IpcMode="host"), "ipc: host"),
    ("H16", host(PidMode="container:x"), "pid: container:x"),
    ("H16", host(NetworkMode="host"), "network_mode: host"),
    ("H16", host(Devices=[{"PathOnHost": "/dev/kvm"}]), "device /dev/kvm"),
    ("H16", host(DeviceCgroupRules=["a *:* rwm"]), "devices a *:* rwm"),
    ("H16", host(DeviceRequests=[{"Driver": "nvidia"}]), "device nvidia"),
    (
        "H17",
        lambda c: c["NetworkSettings"]["Networks"].update(bridge={"NetworkID": "x"}),
        "is on the network bridge of somebody else",
    ),
    (
        "H17",
        lambda c: c["NetworkSettings"]["Networks"].update(edge={"NetworkID": "x"}),
        "is on the network edge of somebody else",
    ),
    (
        "H17",
        lambda c: c["NetworkSettings"]["Networks"].update(prod_database={"NetworkID": "x"}),
        "is on the network database",
    ),
    (
        "H18",
        lambda c: c["HostConfig"]["PortBindings"].update({"9/tcp": [{"HostIp": "", "HostPort": "9"}]}),
        "publishes port 9",
    ),
    ("H18", host(PublishAllPorts=True), "publishes every port of its image"),
    ("H19", mounted(source="/run/docker.sock"), "/run/docker.sock gives it the host"),
    ("H19", mounted(source="/proc"), "/proc is the host's"),
    ("H20", mounted(source="/var/lib/docker/volumes/a/_data", Type="volume"), "/x is a volume of the engine's"),
    ("H20", mounted(source="/mnt/disk"), "/mnt/disk is not below {state}"),
    ("H20", mounted(source="{state}/single"), SINGLE),
    ("H20", mounted(source="{state}/elsewhere"), "/mnt is not below {state}"),
    ("H20", mounted(source="{state}/delivered/cache.1"), "{state}/delivered/cache.1 is none of its own"),
    ("H20", mounted(source="{state}/nginx", Propagation="rshared"), "/x passes mounts on (rshared)"),
    ("H21", mounted(source="{state}/nginx", RW=True), "/x"),
    ("H22", mounted(source="{state}/one", target="/run/secrets/one"), "/run/secrets/one is mounted alone"),
    ("H23", lambda c: c["Config"]["Env"].append("API_TOKEN=x"), "API_TOKEN is in its environment"),
    ("H23", config(Cmd=["nginx", "planted-value"]), TOLD),
    ("H23", lambda c: c["Config"]["Healthcheck"]["Test"].append("planted-value"), TOLD),
    ("H24", config(Image="nginx"), "nginx may be another one tomorrow"),
    ("H25", config(StopSignal=""), "stops by what its image says, not by SIGQUIT"),
    ("H25", config(StopTimeout=1), "is killed after 1 s, not 10 s"),
    ("H26", host(Init=False), "its program is process 1"),
]
