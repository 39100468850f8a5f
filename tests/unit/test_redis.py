"""The redis backend as far as it needs no server, and the fake that stands in for it."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import redis

import adaf_redis
from adaf_pipeline.errors import AdafError, PreconditionError, ProcessError, ServiceError
from adaf_pipeline.service import Ref, Service
from adaf_pipeline.testing.cache import FakeCache
from adaf_redis.backend import Redis

PASSWORD = "planted-password-value"


@pytest.mark.parametrize("value", ["007", "+1", " 1", "1.0", "-0", "٣"])
def test_the_fake_counts_only_what_redis_counts(value: str) -> None:
    fake = FakeCache(FakeCache.Settings(), SimpleNamespace())
    fake.command("SET", "n", value)
    with pytest.raises(ProcessError):
        fake.command("INCR", "n")


def backend(**settings: Any) -> Redis:
    runtime = SimpleNamespace(resolve=lambda ref: {"host": "127.0.0.1", "port": "1"}[ref.part])
    stack: Any = SimpleNamespace(runtime=runtime, secrets=SimpleNamespace(value=lambda _name: PASSWORD))
    return Redis(Redis.Settings(**settings), stack)


def service(**settings: Any) -> Service:
    (made,) = backend(**settings).services()
    return made


def test_its_limit_leaves_room_for_the_fork_that_writes_the_log_anew() -> None:
    assert service(memory_mb=300).limits.memory_mb == 2 * 300 + 64


def test_the_plugin_imports_nothing_but_the_hooks() -> None:
    source = Path(adaf_redis.__file__).read_text()
    names = [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    assert names == ["__future__", "adaf_pipeline.hooks"]
    (found,) = adaf_redis.adaf_backends()
    assert (found.role, found.name, found.target) == ("cache", "redis", "adaf_redis.backend:Redis")


@pytest.mark.parametrize("raw", [{"memory_mb": 1}, {"policy": "lru"}, {"port": -1}, {"memory": 128}])
def test_settings_are_checked(raw: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Redis.Settings)


def test_every_setting_is_described() -> None:
    schema = msgspec.json.schema(Redis.Settings)["$defs"]["Settings"]["properties"]
    assert [name for name, entry in schema.items() if not entry.get("description")] == []


def test_the_service_names_no_place() -> None:
    made = service()
    texts = [*made.argv, *made.gate, *(file.body for file in made.files)]
    refs = {part for text in texts for part in text if isinstance(part, Ref)}
    assert {ref.owner for ref in refs if ref.kind in ("path", "instance")} == {made.id}
    assert {ref.name for ref in refs if ref.kind == "binary"} <= {binary.name for binary in made.binaries}
    assert {ref.name for ref in refs if ref.kind == "secret"} == {use.name for use in made.secrets}
    assert {ref.name for ref in refs if ref.kind == "path"} == {"data", "gate.sh", "redis.conf"}


def test_settings_reach_the_configuration() -> None:
    (conf,) = [file.body for file in service(memory_mb=64, policy="noeviction").files if file.name == "redis.conf"]
    text = "".join(part for part in conf if isinstance(part, str))
    assert "maxmemory 64mb\n" in text
    assert "maxmemory-policy noeviction\n" in text
    assert "aof-load-truncated yes\n" in text


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (redis.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused."), ServiceError, "refused"),
        (redis.TimeoutError("Timeout reading from socket"), ServiceError, "Timeout"),
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), ServiceError, "loading"),
        (redis.AuthenticationError("WRONGPASS invalid username-password pair"), PreconditionError, "cache-admin"),
        (redis.ResponseError("ERR unknown command 'NOPE'"), ProcessError, "NOPE: ERR unknown command"),
        (redis.DataError("Invalid input of type"), ServiceError, "Invalid input"),
    ],
)
def test_errors_in_our_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[AdafError], said: str
) -> None:
    asked: list[tuple[str, ...]] = []

    def fail(_client: object, *words: str) -> None:
        asked.append(words)
        raise error

    monkeypatch.setattr(redis.Redis, "execute_command", fail)
    with pytest.raises(kind, match=said) as caught:
        backend().command("nope", "x")
    assert asked == [("nope", "x")]
    assert PASSWORD not in f"{caught.value}{caught.value.hint}{caught.value.detail}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("answer", "json"), [("OK", "OK"), (1, 1), (None, None), ([b"a".decode(), [2, None]], ["a", [2, None]])]
)
def test_answers_are_json(monkeypatch: pytest.MonkeyPatch, answer: object, json: object) -> None:
    monkeypatch.setattr(redis.Redis, "execute_command", lambda _client, *_words: answer)
    assert backend().command("X") == json
    monkeypatch.setattr(redis.Redis, "execute_command", lambda _client, *_words: [redis.ResponseError("ERR no")])
    assert backend().command("X") == ["ERR no"]
