"""One engine: its directory, how it is started, and that nothing is left of it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import platform
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from private_engine import debs, traces
from private_engine.errors import EngineError, call

MARK = "ADAF_ENGINE"  # in the environment of dockerd, so of all that it starts, but not of containers


class Engine:
    """The engine in ``place``, running or not."""

    def __init__(self, place: Path) -> None:
        self.place, self.run = place, place / "run"
        self.socket, self.pidfile, self.log = self.run / "docker.sock", self.run / "docker.pid", self.run / "log"
        self.netns, self.before = place / "netns", self.run / "before.json"
        self.group = f"adaf-engine-{hashlib.sha256(str(place).encode()).hexdigest()[:12]}"
        root = place / "root"
        path = f"{root}/usr/bin:{root}/usr/sbin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        self.shell = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(place / "config"), "PATH": path}
        self._root = root

    @property
    def env(self) -> dict[str, str]:
        """Of its own programs. It depends on what was unpacked: iptables without its libraries would find no rules."""
        found = {**os.environ, **self.shell, MARK: str(self.place)}
        if (self._root / "usr/sbin/xtables-nft-multi").exists():
            libraries = f"{self._root}/usr/lib/{platform.machine()}-linux-gnu"
            found |= {"LD_LIBRARY_PATH": libraries, "XTABLES_LIBDIR": f"{libraries}/xtables"}
        return found

    def answers(self) -> bool:
        client = http.client.HTTPConnection("engine")
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.settimeout(1)
        with contextlib.closing(client), contextlib.suppress(OSError, http.client.HTTPException):
            client.sock.connect(str(self.socket))
            client.request("GET", "/_ping")
            return client.getresponse().status == 200
        return False

    def start(self, apart: bool = False) -> None:
        """Also after a crash: what it left is dockerd's to find. Raises EngineError."""
        if self.answers():
            return
        say("packages")
        self.place.mkdir(parents=True, exist_ok=True)
        debs.unpack(self.place, self.env["PATH"])
        for folder in (self.run, self.place / "config/cli-plugins"):
            folder.mkdir(parents=True, exist_ok=True)
        for plugin in (self.place / "root/usr/libexec/docker/cli-plugins").iterdir():
            shutil.copy(plugin, self.place / "config/cli-plugins")
        if not self.before.exists():
            self._note(apart)
        if apart and not self._apart():
            self.netns.touch()
            call("unshare", f"--net={self.netns}", "ip", "link", "set", "lo", "up", env=self.env)
            call(
                *self._inside("ip", "route", "add", "unreachable", "default"), env=self.env
            )  # or names take 10 s to fail
        # with a stale pid of containerd the start takes 10 s more
        for stale in (self.pidfile, self.socket, self.place / "exec/containerd/containerd.pid"):
            stale.unlink(missing_ok=True)
        settings = self.run / "daemon.json"
        settings.write_text(json.dumps(self._settings(), indent=1))
        begin = 'setsid --fork "$@" >>"$0" 2>&1 </dev/null'  # nobody's child: it outlives us
        call("sh", "-c", begin, str(self.log), *self._inside("dockerd", "--config-file", str(settings)), env=self.env)
        if not until(lambda: self.answers() or self._gone(), 60) or not self.answers():
            end = self.log.read_text(errors="replace")[-800:]
            self.cut()
            raise EngineError("dockerd does not start", f"all it said is in {self.log}; the end:\n{end}")
        say("the engine answers")

    def stop(self) -> None:
        """Raises EngineError when something of it is left."""
        if not self.answers() and any(self.place.glob("data/containers/*")):  # only dockerd can remove them
            with contextlib.suppress(EngineError):
                self.start(apart=self._apart())
        if self.answers():
            for kind, flags in (("container", ("ls", "-aq")), ("network", ("ls", "-q", "--filter", "type=custom"))):
                found = self._docker(kind, *flags).split()
                if found:
                    self._docker(kind, "rm", *(("-f", "-v") if kind == "container" else ()), *found)
            with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
                pid = int(self.pidfile.read_text())
                if pid in self._processes():
                    os.kill(pid, signal.SIGTERM)
                    until(lambda: pid not in self._processes(), 20)
        self.cut()
        if self._apart():
            traces.unmount([str(self.netns)])
        self.netns.unlink(missing_ok=True)
        before = self._noted()
        if before:
            traces.unlisten()
            traces.unshare(before["shared"])
            if before["namespace"] == traces.namespace():
                traces.restore(before["settings"])
        left = self.left()
        if left:
            raise EngineError(
                f"something of the engine in {self.place} is left: {', '.join(left)}", "stop it once more"
            )
        self.before.unlink(missing_ok=True)
        say("stopped, nothing is left")

    def cut(self) -> None:
        """Everything at once, without a word to anybody; then what the kernel forgets when the power goes."""

        until(lambda: traces.kill(self._processes()), 10)
        traces.ungroup(self.group)
        traces.unmount(point for point in traces.mounts(self.place) if point != str(self.netns))
        before = self._noted()
        if before and (self._apart() or before["namespace"] == traces.namespace()):
            for link in traces.links(self._inside(), self.env):
                if link not in before["links"]:
                    call(*self._inside("ip", "link", "delete", link), env=self.env, check=False)
            for firewall, now in traces.rules(self._inside(), self.env).items():
                for argv in traces.undone(before["rules"][firewall], now):
                    call(*self._inside(firewall, "--wait", *argv), env=self.env, check=False)

    def left(self) -> list[str]:
        """What is there of it outside its directory, in words."""
        found = [f"process {pid}" for pid in self._processes()]
        found += [f"mount {point}" for point in traces.mounts(self.place)]
        found += [f"cgroup {group}" for group in traces.groups(self.group)]
        before = self._noted()
        if before and before["namespace"] == traces.namespace():
            found += [f"link {link}" for link in traces.links([], self.env) if link not in before["links"]]
            for firewall, now in traces.rules([], self.env).items():
                found += [f"{firewall} {' '.join(argv)}" for argv in traces.undone(before["rules"][firewall], now)]
            found += [name for name, value in traces.settings().items() if before["settings"].get(name, value) != value]
        return found

    def _note(self, apart: bool) -> None:
        """What is there before it starts. Raises EngineError where another engine has its rules."""
        there = {firewall: [] for firewall in traces.FIREWALLS} if apart else traces.rules([], self.env)
        if any(" -N DOCKER" in line for lines in there.values() for line in lines):
            hint = "say its DOCKER_HOST and use it, or start this one with --netns"
            raise EngineError(
                "another engine has its firewall rules here, and two would take them from each other", hint
            )
        links = [] if apart else traces.links([], self.env)
        body: dict[str, Any] = {"namespace": "" if apart else traces.namespace(), "rules": there, "links": links}
        self.before.write_text(json.dumps({**body, "settings": traces.settings(), "shared": traces.shared()}))

    def _noted(self) -> dict[str, Any]:
        return json.loads(self.before.read_text()) if self.before.exists() else {}

    def _processes(self) -> list[int]:
        return sorted({*traces.marked(f"{MARK}={self.place}"), *traces.grouped(self.group)} - {os.getpid()})

    def _gone(self) -> bool:
        """Whether it has ended. A process has no environment for a moment when it becomes another program."""
        return not until(lambda: bool(self._processes()), 0.5)

    def _apart(self) -> bool:
        return str(self.netns) in traces.mounts(self.place)

    def _inside(self, *argv: str) -> list[str]:
        """In its network namespace. `ip netns exec` would hide the cgroups."""
        return ["nsenter", f"--net={self.netns}", "--", *argv] if self._apart() else list(argv)

    def _docker(self, *argv: str) -> str:
        return call("docker", *argv, env=self.env)

    def _settings(self) -> dict[str, Any]:
        place = self.place
        return {
            "data-root": str(place / "data"),
            "exec-root": str(place / "exec"),
            "pidfile": str(self.pidfile),
            "hosts": [f"unix://{self.socket}"],
            "userland-proxy-path": str(place / "root/usr/sbin/docker-proxy"),
            "default-address-pools": [{"base": pool, "size": 24} for pool in traces.POOLS],
            "cgroup-parent": f"/{self.group}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],  # systemd's would not let us name the cgroup
            "log-opts": {"max-size": "10m", "max-file": "3"},
            "shutdown-timeout": 10,
        }


def until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def say(words: str) -> None:
    print(f"engine: {words}", file=sys.stderr, flush=True)
