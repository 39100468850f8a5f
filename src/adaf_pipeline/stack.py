"""The Stack: adaf.yaml + plugins, and one lazily made object a role."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from adaf_pipeline import config, roles
from adaf_pipeline.config import Config, Section
from adaf_pipeline.errors import ConfigError, PluginError
from adaf_pipeline.plugins import Registry, discover
from adaf_pipeline.process import Account
from adaf_pipeline.service import Service, Services

R = TypeVar("R", bound=roles.Role)


class Stack:
    """Fulfils roles.StackView. ``name`` is what the first line of every output says."""

    def __init__(self, settings: Config, registry: Registry) -> None:
        self.config = settings
        self.registry = registry
        self.name = settings.name
        self.checkout = settings.file.parent.resolve()

    def _make(self, section: Section, role: str, abc: type[R]) -> R:
        where = f"{self.config.sources.of(f'{section.path}/use')}: {section.path}"
        found = self.registry.load(role, section.use, where)
        if not issubclass(found, abc):
            raise PluginError(f"{where}: {found.__name__} is not a {abc.__name__}", "the plugin fills another role")
        if inspect.isabstract(found):
            gaps = ", ".join(sorted(found.__abstractmethods__))
            raise PluginError(f"{where}: {found.__name__} does not implement: {gaps}", "update the plugin")
        return found(self.config.settings(section, found.Settings), self)

    @cached_property
    def runtime(self) -> roles.Runtime:
        return self._make(self.config.roles["runtime"], "runtime", roles.Runtime)  # type: ignore[type-abstract]

    @cached_property
    def balancer(self) -> roles.Balancer:
        return self._make(self.config.roles["balancer"], "balancer", roles.Balancer)  # type: ignore[type-abstract]

    @cached_property
    def proxy(self) -> roles.Proxy:
        return self._make(self.config.roles["proxy"], "proxy", roles.Proxy)  # type: ignore[type-abstract]

    @cached_property
    def database(self) -> roles.Database:
        return self._make(self.config.roles["database"], "database", roles.Database)  # type: ignore[type-abstract]

    @cached_property
    def cache(self) -> roles.Cache:
        return self._make(self.config.roles["cache"], "cache", roles.Cache)  # type: ignore[type-abstract]

    @cached_property
    def secrets(self) -> roles.Secrets:
        return self._make(self.config.roles["secrets"], "secrets", roles.Secrets)  # type: ignore[type-abstract]

    @cached_property
    def apps(self) -> Mapping[str, roles.App]:
        made: dict[str, roles.App] = {}
        for name in self.config.apps:
            own, section = self.config.app(name)
            app = self._make(section, "app", roles.App)  # type: ignore[type-abstract]
            app.name, app.replicas, app.workers = name, own.replicas, own.workers
            app.path = Path(os.path.realpath(self.checkout / own.path))
            if not os.path.isdir(app.path):  # noqa: PTH112  Path.is_dir raises where a name is too long
                where = self.config.sources.where(f"{section.path}/path")
                raise ConfigError(f"{where}: no such folder: {own.path}", f"relative to {self.checkout}")
            made[name] = app
        return made

    @property
    def state(self) -> Path:
        return self.runtime.state

    @property
    def account(self) -> Account | None:
        return self.runtime.account

    @cached_property
    def backends(self) -> Mapping[str, roles.Role]:
        """Every role of the infrastructure, the applications excepted, in a fixed order."""
        return {
            "database": self.database,
            "cache": self.cache,
            "balancer": self.balancer,
            "proxy": self.proxy,
            "secrets": self.secrets,
            "runtime": self.runtime,
        }

    def services(self) -> Services:
        """What the infrastructure wants running. PluginError when two backends use one id, ConfigError for one port."""
        found: tuple[Service, ...] = tuple(s for role in self.backends.values() for s in role.services())
        for role in self.backends.values():
            found = role.amend(found)
        ids = [service.id for service in found]
        for twice in sorted({i for i in ids if ids.count(i) > 1}):
            raise PluginError(f"service id {twice} is used by two backends", "each backend names its own services")
        wished: dict[int, Service] = {}
        for service, number in ((s, port.number) for s in found for port in s.ports if port.number):
            first = wished.setdefault(number, service)
            if first is not service:
                where = self.config.sources.where(f"{service.role}/port")
                raise ConfigError(f"{where}: {number} is the port of {first.id} as well", "give one of them another")
        return found

    def identity(self) -> Mapping[str, Any]:
        """What a rebuilt plan must share with the first one, besides its facts."""
        return {
            "name": self.name,
            "deploy": msgspec.to_builtins(self.config.deploy),
            "roles": {k: [s.use, s.raw] for k, s in self.config.roles.items()},
            "apps": {k: [s.use, s.raw] for k, s in self.config.apps.items()},
            "plugins": self.registry.versions,
            "root": os.geteuid() == 0,
        }


def open_stack(name: str = "") -> Stack:
    """The stack of the adaf.yaml that is nearest, with the overlay of ``name`` or else of ADAF_STACK, and ADAF_A__B."""
    file = config.find()
    settings = load(file, name)
    return Stack(settings, discover(file.parent))


def load(file: Path, name: str = "") -> Config:
    """What ``file`` means to whom started us: ``--stack``, ADAF_STACK and ADAF_A__B included."""
    said_by = "--stack" if name else "ADAF_STACK"
    return config.load(file, name or os.environ.get("ADAF_STACK", ""), os.environ, said_by)
