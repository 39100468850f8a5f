"""Redis on the local runtime: accounts, and what the server survives."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client
from driving import until
from redis.backoff import NoBackoff
from redis.retry import Retry
from stores import leaks, logged, lose_supervisor, pid, restarted, secrets, terminal, volume, watching

from adaf_pipeline.errors import ServiceError
from adaf_pipeline.process import run
from adaf_pipeline.roles import Cache
from adaf_pipeline.service import Ref
from adaf_pipeline.stack import Stack
from adaf_pipeline.testing.stack import quiet, real_stack, start_roles
from adaf_redis import server

ID = "cache.1"


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Processes that showed a secret while the server was started."""
    return set()


@pytest.fixture(scope="module")
def stack(seen: set[str]) -> Iterator[Stack]:
    """One server for all; each test finds it empty."""
    with real_stack(cache="redis", secrets="files") as made:
        made.secrets.ensure(["cache-admin", "cache-app"])
        with watching(secrets(made), seen):
            start_roles(made, "cache")
        yield made


@pytest.fixture
def cache(stack: Stack) -> Cache:
    stack.cache.command("FLUSHALL")
    return stack.cache


def answers(cache: Cache) -> bool:
    try:
        return bool(cache.command("PING") == "PONG")
    except ServiceError:
        return False


def test_accounts(stack: Stack, cache: Cache) -> None:
    port = int(stack.runtime.resolve(Ref("instance", ID, "redis", "port")))
    once = Retry(NoBackoff(), 0)
    with client.Redis("127.0.0.1", port, retry=once) as nobody, pytest.raises(client.AuthenticationError):
        nobody.ping()
    with client.Redis("127.0.0.1", port, username="app", password=stack.secrets.value("cache-app")) as app:
        assert app.set("app:a", "1")
        assert app.eval("return redis.call('INCR', KEYS[1])", 1, "app:a") == 2
        assert app.pipeline(transaction=True).incr("app:a").get("app:a").execute() == [3, b"3"]
        app.info("server")
        for words in (
            ("GET", "other"), ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("SHUTDOWN",),
            ("FUNCTION", "FLUSH"), ("CLIENT", "LIST"), ("REPLICAOF", "127.0.0.1", "1"),
            ("MONITOR",), ("SAVE",), ("SCRIPT", "FLUSH"),
        ):  # fmt: skip
            with pytest.raises(client.ResponseError, match=r"(?i)permission"):
                app.execute_command(*words)
        with pytest.raises(client.ResponseError, match=r"can't access|No permissions"):
            app.eval("return redis.call('GET', 'other')", 0)
    assert cache.command("ACL", "WHOAMI") == "admin"


def test_it_is_as_the_settings_say(cache: Cache) -> None:
    assert cache.command("CONFIG", "GET", "maxmemory") == ["maxmemory", str(128 << 20)]
    assert cache.command("CONFIG", "GET", "maxmemory-policy") == ["maxmemory-policy", "allkeys-lru"]
    assert cache.command("CONFIG", "GET", "bind") == ["bind", "127.0.0.1"]


# --------------------------------------------------------------------------------------------- the server's life


def test_a_killed_server_comes_back_with_everything(stack: Stack, cache: Cache) -> None:
    cache.command("SET", "app:a", "1")
    process = pid(stack, ID)
    os.kill(process, signal.SIGKILL)
    restarted(stack, ID, process)
    until(lambda: answers(cache), what="answers")
    assert cache.command("GET", "app:a") == "1"


def test_a_server_that_nobody_remembers_is_ended_before_the_next(stack: Stack, cache: Cache) -> None:
    cache.command("SET", "app:a", "1")
    lose_supervisor(stack, ID)
    until(lambda: answers(cache), what="answers")
    assert cache.command("GET", "app:a") == "1"
    logged(stack, ID, "ending the server that was left behind")


@pytest.mark.parametrize("damage", [b"*3\r\n$3\r\nSET\r\n$5\r\napp", b"\0\0\0\0\0garbage"])
def test_a_damaged_log_does_not_prevent_the_start(stack: Stack, cache: Cache, damage: bytes) -> None:
    cache.command("SET", "app:a", "1")
    stack.runtime.stop([ID], quiet)
    with pytest.raises(ServiceError) as caught:
        cache.command("PING")
    assert f"inv logs --service {ID}" in caught.value.hint
    data = volume(stack, ID)
    (log,) = (data / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(log.read_bytes() + damage)
    start_roles(stack, "cache")
    assert cache.command("GET", "app:a") == "1"
    assert (data / "damaged" / log.name).read_bytes().endswith(damage)


# ---------------------------------------------------------------------------------------------------- secrets


def test_no_secret_is_anywhere_but_in_its_file(stack: Stack, cache: Cache, seen: set[str]) -> None:
    """Not even for a moment."""
    values = secrets(stack)
    with watching(values, seen):
        words, environment = cache.shell()
        assert environment == {}
        with terminal(words) as say:
            say("", "> ")
            say("ACL WHOAMI", "admin")
            say("SET app:b works", "OK")
            assert leaks(stack, values) == []
        assert run(words, stdin=b"SET app:a 1\nINCR app:a\n").stdout == "OK\n2\n"
    assert seen == set()


def test_a_damaged_log_is_mended_where_the_server_is_a_name_on_the_path(tmp_path: Path) -> None:
    """As it is in an image; on a host it is a path."""
    log, password = tmp_path / "data/appendonlydir", tmp_path / "password"
    log.mkdir(parents=True)
    (log / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    whole = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
    (log / "appendonly.aof.1.incr.aof").write_bytes(whole + b"garbage")
    password.write_text("planted-password-value")
    gate = Path(server.__file__).with_name("templates") / "gate.sh"
    run(["/bin/sh", str(gate), "redis-server", str(log.parent), str(password), str(password)])
    assert (log / "appendonly.aof.1.incr.aof").read_bytes() == whole
    assert (tmp_path / "data/damaged").is_dir()
