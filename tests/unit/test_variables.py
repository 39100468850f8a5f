"""The environment of an application: names, and secrets that are delivered into it on request."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from adaf_pipeline.errors import ConfigError
from adaf_pipeline.host.variables import secret
from adaf_pipeline.roles import Binding, Delivery, StackView, variables
from adaf_pipeline.service import SecretUse, text

URL = SecretUse("database-app", before=text("db://app:"), after=text("@here/app"))


def stack(url: SecretUse | None = URL) -> StackView:
    database = Binding({"DATABASE_HOST": text("here")}, (SecretUse("database-app"),), url)
    cache = Binding({"REDIS_HOST": text("there")}, (SecretUse("cache-app"),))
    return cast(
        StackView,
        SimpleNamespace(
            database=SimpleNamespace(binding=lambda: database), cache=SimpleNamespace(binding=lambda: cache)
        ),
    )


def delivery(url: str = "database") -> Delivery:
    return msgspec.convert({"url": url, "as": "env"}, Delivery)


def test_a_url_is_delivered_when_it_is_asked_for_and_only_then() -> None:
    assert variables.bound(stack(), {}).secrets == (SecretUse("database-app"), SecretUse("cache-app"))
    bound = variables.bound(stack(), {"DATABASE_URL": delivery()})
    assert bound.environment == {"DATABASE_HOST": text("here"), "REDIS_HOST": text("there")}
    assert bound.secrets[-1] == SecretUse("database-app", "DATABASE_URL", URL.before, URL.after)


def test_a_backend_without_a_url_says_so() -> None:
    with pytest.raises(ConfigError, match="secrets/CACHE_URL: the backend of cache has no URL"):
        variables.bound(stack(), {"CACHE_URL": delivery("cache")})


@pytest.mark.parametrize(
    "raw", [{"url": "database"}, {"url": "database", "as": "file"}, {"as": "env"}, {"url": "x", "as": "env"}]
)
def test_nothing_gets_into_the_environment_unless_it_says_as_env(raw: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Delivery)


@pytest.mark.parametrize(
    ("environment", "secrets", "said"),
    [
        ({"A": "a\0b"}, {}, "apps/web/environment/A: holds a NUL"),
        ({"PORT": "1"}, {}, "apps/web/environment/PORT: the pipeline sets it"),
        ({}, {"PORT": delivery()}, "apps/web/secrets/PORT: the pipeline sets it"),
        ({"URL": "1"}, {"URL": delivery()}, "apps/web/secrets/URL: is set in environment as well"),
    ],
)
def test_what_no_variable_can_be_is_refused(
    environment: dict[str, str], secrets: dict[str, Delivery], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        variables.check("apps/web", environment, secrets, ("PORT",))
    assert said in caught.value.message and caught.value.hint


def test_a_start_script_holds_paths_of_secrets_and_never_a_value() -> None:
    path = Path("/secrets/database app/value")
    plain = secret("PASSWORD", path)
    assert plain == "PASSWORD=\"$(cat '/secrets/database app/value')\" || exit 111; export PASSWORD"
    inside = secret("URL", path, ("db://app:", "@here/$HOME"))
    assert "cat '/secrets/database app/value'" in inside and inside.endswith("export URL; unset adaf_secret")
    assert "URL=db://app:\"$adaf_secret\"'@here/$HOME'" in inside
