"""The engine, by its API, and Docker Compose, by its program: each is asked for what it does better."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.process import run, spawn

if TYPE_CHECKING:
    from docker import DockerClient

SOCKET = "unix:///var/run/docker.sock"
API = (1, 44)  # health checks more often while a container starts
OLDEST = (2, 20)  # its `up --wait` waits for those it was told, and for no others
PATIENCE = 600  # seconds that the engine may take for one answer: a build, or a stop with a long grace
LOOK = 20  # seconds that it may take to say what there is: one that hangs must not hang who looks
PROJECT = "com.docker.compose.project"
FOLDER = "com.docker.compose.project.working_dir"
ONCE = "com.docker.compose.oneoff"


class Program:
    """Where the engine is, and which program speaks Compose to it. PreconditionError when there is none, at first use."""

    version = ""  # of Compose, once ``argv`` was asked
    _hung = float("-inf")  # when it last let us wait in vain, of time.monotonic()

    @cached_property
    def address(self) -> str:
        found = os.environ.get("DOCKER_HOST") or SOCKET
        if not found.startswith("unix://"):
            raise PreconditionError(
                f"DOCKER_HOST: {found} is not an engine of this host", f"unset it, or name a socket: {SOCKET}"
            )
        return found

    @cached_property
    def environment(self) -> dict[str, str]:
        """What Compose is handed on of ours. Others' containers in the project are no concern of ours."""
        kept = {name: os.environ[name] for name in ("DOCKER_CONFIG",) if name in os.environ}
        return {**kept, "DOCKER_HOST": self.address, "COMPOSE_IGNORE_ORPHANS": "1"}

    @cached_property
    def client(self) -> DockerClient:
        """For what takes its time."""
        from docker import DockerClient

        version = self.looking.api.api_version
        return DockerClient(base_url=self.address, timeout=PATIENCE, version=version)

    @cached_property
    def looking(self) -> DockerClient:
        """For what is answered at once."""
        from docker import DockerClient  # 75 ms that `inv --list` does not need

        with self.asking():
            client = DockerClient(base_url=self.address, timeout=LOOK, version="auto")
        if _numbers(client.api.api_version) < API:
            raise PreconditionError(
                f"the engine at {self.address} has the API {client.api.api_version}",
                "Docker 25 has 1.44, which is needed",
            )
        return client

    @contextmanager
    def asking(self) -> Iterator[None]:
        """The SDK's failures as ours. After a question that was waited for in vain the next ones do not wait as well."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        if time.monotonic() < self._hung + LOOK:
            raise self._silent()
        try:
            yield
        except DockerException as exc:
            if "Error while fetching server API version" in str(exc):
                self._waited(exc)
                raise self._silent() from exc
            raise ServiceError(f"docker: {' '.join(str(exc).split())}", "docker info; then the same again") from exc
        except (RequestException, OSError) as exc:
            self._waited(exc)
            raise self._silent() from exc

    def _waited(self, failure: Exception) -> None:
        """One that ended may be back at once; one that says nothing will go on with that."""
        if "timed out" in str(failure):
            self._hung = time.monotonic()

    def _silent(self) -> PreconditionError:
        return PreconditionError(
            f"docker: the engine at {self.address} does not answer", "systemctl start docker, or correct DOCKER_HOST"
        )

    @cached_property
    def argv(self) -> tuple[str, ...]:
        """``docker compose``, or the program of its own name."""
        seen = []
        for words in (("docker", "compose"), ("docker-compose",)):
            try:
                version = run([*words, "version", "--short"], env=self.environment, check=False).stdout.strip()
            except PreconditionError:
                continue
            if version and _numbers(version) >= OLDEST:
                self.version = version
                return words
            seen += [f"{' '.join(words)} is {version}"] if version else []
        wanted = ".".join(map(str, OLDEST))
        raise PreconditionError(
            f"docker compose {wanted} or newer: {', '.join(seen) or 'not found'}",
            "install the plugin docker-compose-plugin, or docker-compose of Debian 13; version 1 is another program",
        )

    def inside(self, container: str) -> tuple[str, ...]:
        """The beginning of a command line that runs a program in a container, on our terminal if there is one."""
        docker = shutil.which("docker")
        if docker is None:
            raise PreconditionError("docker: program not found", "install the package docker-cli, or docker-ce-cli")
        terminal = ("-t",) if os.isatty(0) else ()
        return (docker, "--host", self.address, "exec", "-i", *terminal, container)

    def compose(self, file: Path, project: str, *words: str, sink: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start Compose on a file, printing to ``sink``; in a session of its own, so that a Ctrl-C is ours to handle."""
        argv = [*self.argv, "--progress", "plain", "-f", str(file), "-p", project, *words]
        return spawn(argv, env=self.environment, cwd=file.parent, stdout=sink, stderr=sink, session=True)


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.lstrip("v").split("-")[0].split("+")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())
