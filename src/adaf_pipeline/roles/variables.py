"""The environment of an application's processes: what may be set, and what is delivered into it on request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from adaf_pipeline.config import Variable
from adaf_pipeline.errors import ConfigError
from adaf_pipeline.roles.role import Binding, StackView
from adaf_pipeline.service import SecretUse, Text


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``apps: {NAME: {secrets: {DATABASE_URL: {url: database, as: env}}}}``.

    A secret is a file of its own unless somebody says ``as: env``: whoever may read the process's environment, and
    everything that it starts, has it then.
    """

    url: Annotated[Literal["database", "cache"], msgspec.Meta(description="whose address, user and password")]
    as_: Annotated[
        Literal["env"], msgspec.Meta(description="in the environment of the process, where all it starts can read it")
    ] = msgspec.field(name="as")


Deliveries = dict[Variable, Delivery]


def check(key: str, environment: Mapping[str, str], secrets: Mapping[str, Delivery], taken: Iterable[str]) -> None:
    """ConfigError for a name that the pipeline sets, for one that is set twice, and for what no value can be."""
    for section, names in (("environment", environment), ("secrets", secrets)):
        for name in sorted(names):
            if name in set(taken):
                raise ConfigError(f"{key}/{section}/{name}: the pipeline sets it", "remove it")
    for name, value in sorted(environment.items()):
        if "\0" in value:
            raise ConfigError(f"{key}/environment/{name}: holds a NUL", "no variable can")
        if name in secrets:
            raise ConfigError(f"{key}/secrets/{name}: is set in environment as well", "leave it out there")


def bound(stack: StackView, secrets: Mapping[str, Delivery]) -> Binding:
    """What an application needs to use database and cache: as files, and in variables what is declared ``as: env``.

    ConfigError when the backend has no URL to give.
    """
    roles = {"database": stack.database.binding(), "cache": stack.cache.binding()}
    environment: dict[str, Text] = {}
    uses: list[SecretUse] = []
    for binding in roles.values():
        environment |= binding.environment
        uses += binding.secrets
    for name, delivery in sorted(secrets.items()):
        url = roles[delivery.url].url
        if url is None:
            raise ConfigError(
                f"secrets/{name}: the backend of {delivery.url} has no URL", "its variables and files are there anyway"
            )
        uses.append(replace(url, env=name))
    return Binding(environment, tuple(dict.fromkeys(uses)))
