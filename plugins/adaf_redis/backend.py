"""The role Cache over one Redis primary."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adaf_pipeline.errors import PreconditionError, ProcessError, ServiceError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import Binding, Cache
from adaf_pipeline.service import Ref, SecretUse, Services
from adaf_redis import server, settings

_LOOK = f"`inv status`, then `inv logs --service {server.ID}`"


class Redis(Cache):
    """Redis of the distribution behind the endpoint ``primary``."""

    Settings = settings.Settings
    settings: settings.Settings

    def services(self) -> Services:
        return (server.service(self.settings),)

    @property
    def endpoints(self) -> Mapping[str, Ref]:
        return {"primary": Ref("instance", server.ID, server.PORT)}

    def command(self, *words: str) -> Json:
        if not words:
            raise ProcessError("cache: no command given", "PING")
        try:
            with redis.Redis(
                host=self._primary("host"),
                port=int(self._primary("port")),
                username="admin",
                password=self.stack.secrets.value(server.ADMIN_SECRET),
                client_name="adaf-pipeline",
                socket_connect_timeout=5,
                socket_timeout=10,
                retry=Retry(NoBackoff(), 0),  # sent once: INCR twice is not INCR
                protocol=2,
                decode_responses=True,
                encoding_errors="backslashreplace",
            ) as client:
                client.response_callbacks.clear()  # answers as the server gave them: OK, not True
                return _json(client.execute_command(*words))
        except redis.AuthenticationError:
            raise PreconditionError(
                f"cache: the secret {server.ADMIN_SECRET} is not the password of its user",
                "the server reads it when it starts: restart it",
            ) from None
        except redis.ResponseError as exc:
            raise ProcessError(f"cache: {words[0].upper()}: {exc}", "`inv redis` opens a shell, with help") from None
        except redis.RedisError as exc:
            raise ServiceError(f"cache: {exc}", _LOOK) from None

    def binding(self) -> Binding:
        host, port = (Ref("endpoint", "cache", "primary", part) for part in ("host", "port"))
        return Binding(
            {
                "REDIS_HOST": (host,),
                "REDIS_PORT": (port,),
                "REDIS_USERNAME": ("app",),
                "REDIS_PASSWORD_FILE": (Ref("secret", "", server.APP_SECRET),),
            },
            (SecretUse(server.APP_SECRET),),
            SecretUse(server.APP_SECRET, before=("redis://app:",), after=("@", host, ":", port, "/0")),
        )

    def shell(self) -> tuple[tuple[str, ...], Mapping[str, str]]:
        launcher = (sys.executable, "-I", str(Path(__file__).with_name("shell.py")))
        secret = str(self.stack.secrets.path(server.ADMIN_SECRET))
        where = ("-h", self._primary("host"), "-p", self._primary("port"))
        return (*launcher, secret, *self._client(), *where, "--user", "admin"), {}

    def _client(self) -> tuple[str, ...]:
        """The host's redis-cli, or the one that is where the server runs."""
        try:
            return (self.stack.runtime.resolve(Ref("binary", "", "redis-cli")),)
        except PreconditionError:
            entered = self.stack.runtime.enter(server.ID)
            if entered is None:
                raise
            return (*entered, "redis-cli")

    def _primary(self, part: str) -> str:
        return self.stack.runtime.resolve(Ref("endpoint", "cache", "primary", part))


def _json(answer: object) -> Json:
    if isinstance(answer, list):
        return [_json(item) for item in answer]
    return str(answer) if isinstance(answer, Exception) else answer
