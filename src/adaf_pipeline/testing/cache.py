"""A stand-in for the role Cache, and what every backend of it has to keep."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import pytest

from adaf_pipeline.errors import ProcessError
from adaf_pipeline.event import Json
from adaf_pipeline.roles import Binding, Cache, StackView
from adaf_pipeline.service import Port, Ref, SecretUse, Service, Services, argv


class FakeCache(Cache):
    """PING, SET, GET, INCR, EXPIRE and DEL, in memory; everything else is refused. ``commands``: what was asked."""

    def __init__(self, settings: Any, stack: StackView) -> None:
        super().__init__(settings, stack)
        self.commands: list[tuple[str, ...]] = []
        self._data: dict[str, tuple[str, float]] = {}  # value, monotonic time of its end

    def services(self) -> Services:
        return (Service("cache.1", "cache", argv("fake-cache"), image="redis", ports=(Port("redis"),)),)

    @property
    def endpoints(self) -> Mapping[str, Ref]:
        return {"primary": Ref("instance", "cache.1", "redis")}

    def command(self, *words: str) -> Json:
        self.commands.append(words)
        self._data = {key: entry for key, entry in self._data.items() if entry[1] > time.monotonic()}
        match (words[0].upper() if words else "", *words[1:]):
            case ("PING",):
                return "PONG"
            case ("SET", key, value):
                self._data[key] = (value, float("inf"))
                return "OK"
            case ("GET", key):
                return self._data[key][0] if key in self._data else None
            case ("INCR", key):
                value, end = self._data.get(key, ("0", float("inf")))
                if not re.fullmatch("0|-?[1-9][0-9]{0,17}", value):
                    raise ProcessError("cache: INCR: value is not an integer or out of range")
                self._data[key] = (str(int(value) + 1), end)
                return int(value) + 1
            case ("EXPIRE", key, seconds) if re.fullmatch("0|-?[1-9][0-9]{0,8}", seconds):
                if key not in self._data:
                    return 0
                self._data[key] = (self._data[key][0], time.monotonic() + int(seconds))
                return 1
            case ("DEL", *keys) if keys:
                return sum(self._data.pop(key, None) is not None for key in keys)
        raise ProcessError(f"cache: the fake does not know {' '.join(words[:1])!r} with {len(words[1:])} arguments")

    def binding(self) -> Binding:
        return Binding(
            {
                "REDIS_HOST": (Ref("endpoint", "cache", "primary", "host"),),
                "REDIS_PORT": (Ref("endpoint", "cache", "primary", "port"),),
                "REDIS_USERNAME": ("app",),
                "REDIS_PASSWORD_FILE": (Ref("secret", "", "cache-app"),),
            },
            (SecretUse("cache-app"),),
            SecretUse("cache-app", before=("fake://app:",), after=("@", Ref("endpoint", "cache", "primary"), "/0")),
        )

    def shell(self) -> tuple[tuple[str, ...], Mapping[str, str]]:
        return ("fake-cache-shell",), {}


class CacheContract:
    """Run against every backend of the role. Override ``cache`` with a running, empty one."""

    @pytest.fixture
    def cache(self) -> Cache:
        raise NotImplementedError

    def test_it_answers(self, cache: Cache) -> None:
        """`command`: one command on the current primary, as Redis clients write it."""
        assert cache.command("PING") == "PONG"
        assert cache.command("ping") == "PONG"

    def test_it_keeps_values(self, cache: Cache) -> None:
        """`command`: a key-value cache; text comes back as it was."""
        assert cache.command("GET", "app:a") is None
        assert cache.command("SET", "app:a", "grüße, %s") == "OK"
        assert cache.command("GET", "app:a") == "grüße, %s"
        assert cache.command("DEL", "app:a", "app:b") == 1
        assert cache.command("GET", "app:a") is None

    def test_it_counts_once(self, cache: Cache) -> None:
        """`command`: is sent once, so that what counts is right; ProcessError with the server's reason."""
        assert [cache.command("INCR", "app:n") for _ in range(3)] == [1, 2, 3]
        assert cache.command("GET", "app:n") == "3"
        cache.command("SET", "app:n", "many")
        with pytest.raises(ProcessError, match="not an integer"):
            cache.command("INCR", "app:n")

    def test_values_expire(self, cache: Cache) -> None:
        """`command`: keys may end."""
        assert cache.command("EXPIRE", "app:a", "10") == 0
        cache.command("SET", "app:a", "1")
        assert cache.command("EXPIRE", "app:a", "10") == 1
        assert cache.command("INCR", "app:a") == 2
        assert cache.command("EXPIRE", "app:a", "0") == 1
        assert cache.command("GET", "app:a") is None

    @pytest.mark.parametrize("words", [(), ("NONSENSE",), ("GET",), ("SET", "app:a"), ("EXPIRE", "app:a", "soon")])
    def test_what_it_does_not_understand_is_an_error(self, cache: Cache, words: tuple[str, ...]) -> None:
        """`command`: ProcessError for what is no command."""
        with pytest.raises(ProcessError):
            cache.command(*words)

    def test_applications_reach_it_by_its_endpoint(self, cache: Cache) -> None:
        """`binding`: Refs to the endpoint ``primary``, and the password as a file."""
        bound = cache.binding()
        assert bound.environment["REDIS_HOST"] == (Ref("endpoint", "cache", "primary", "host"),)
        assert bound.environment["REDIS_PORT"] == (Ref("endpoint", "cache", "primary", "port"),)
        (secret,) = bound.secrets
        assert bound.environment["REDIS_PASSWORD_FILE"] == (Ref("secret", "", secret.name),)
        assert secret.env == ""
        if bound.url is not None:  # all in one: the password's place is between the two, and nothing of it in them
            assert (bound.url.name, bound.url.env) == (secret.name, "")
            assert str(bound.url.before[0]).partition("://")[2].endswith(":") and str(bound.url.after[0]) == "@"
        assert cache.endpoints["primary"].kind == "instance"
        assert cache.endpoints["primary"].owner in [service.id for service in cache.services()]

    def test_a_shell_is_told_no_secret(self, cache: Cache) -> None:
        """`shell`: argv and environment of an interactive client, no secret in either."""
        argv, environment = cache.shell()
        assert argv and all(isinstance(word, str) for word in argv)
        (secret,) = cache.binding().secrets
        cache.stack.secrets.ensure([secret.name])
        value = cache.stack.secrets.value(secret.name)
        assert value not in "\n".join((*argv, *environment, *environment.values()))
