"""Finds plugins and keeps them apart: a broken one is reported where it is needed, and never breaks the listing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from adaf_pipeline import hooks
from adaf_pipeline.errors import InterruptedRunError, PluginError
from adaf_pipeline.hooks import Backend

if TYPE_CHECKING:
    from adaf_pipeline.event import Event
    from adaf_pipeline.plan import Facts, Plan
    from adaf_pipeline.requests import Request
    from adaf_pipeline.roles import StackView

CORE = "core"


class CorePlans:
    """The core's own answer to every request: the module that the request names."""

    @staticmethod
    @hooks.impl(trylast=True)
    def adaf_plan(stack: StackView, request: Request, facts: Facts) -> Plan | None:
        if not request.workflow:
            return None
        plan: Plan = pkgutil.resolve_name(f"{request.workflow}:plan")(stack, request, facts)
        return plan


@dataclass
class Registry:
    """What was found. ``broken``: plugin name to what is wrong with it; ``origins``: where it is from, for people."""

    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(hooks.PROJECT))
    broken: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.manager.add_hookspecs(hooks)
        self.manager.register(CorePlans, CORE)

    def add(self, name: str, plugin: object) -> None:
        """Register one plugin, or record why not."""
        try:
            self.manager.register(plugin, name)
            self.manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as exc:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self.broken[name] = " ".join(str(exc).split())

    def backends(self) -> dict[tuple[str, str], list[tuple[str, Backend]]]:
        """Every provider by (role, name)."""
        found: dict[tuple[str, str], list[tuple[str, Backend]]] = {}
        for implementation in self.manager.hook.adaf_backends.get_hookimpls():
            plugin = implementation.plugin_name
            try:
                provided: Iterable[Backend] = implementation.function()  # type: ignore[assignment]
                for backend in provided:
                    found.setdefault((backend.role, backend.name), []).append((plugin, backend))
            except Exception as exc:  # noqa: BLE001  a stranger's code: its failure is data here
                self.broken[plugin] = f"adaf_backends: {type(exc).__name__}: {exc}"
        return found

    def check_tasks(self) -> None:
        """Record whose ``adaf_tasks`` raises: the listing of tasks only warns of it."""
        for implementation in self.manager.hook.adaf_tasks.get_hookimpls():
            try:
                list(implementation.function())  # type: ignore[call-overload]
            except Exception as exc:  # noqa: BLE001
                self.broken[implementation.plugin_name] = f"adaf_tasks: {type(exc).__name__}: {exc}"

    def load(self, role: str, name: str, where: str) -> type[Any]:
        """The class that fills a role. PluginError when unknown, doubled or broken; ``where``: the config's path."""
        found = self.backends()
        providers = found.get((role, name), [])
        if len(providers) > 1:
            targets = " and ".join(f"{plugin} ({backend.target})" for plugin, backend in providers)
            raise PluginError(f'{where}: {role} "{name}" is provided twice: {targets}', "remove one of the two plugins")
        if not providers:
            known = ", ".join(sorted(n for r, n in found if r == role)) or "none"
            trouble = "; ".join(f"{plugin} is broken: {why}" for plugin, why in sorted(self.broken.items()))
            raise PluginError(
                f'{where}: no plugin provides {role} "{name}"',
                f"available: {known}" + (f"; {trouble}" if trouble else ""),
            )
        plugin, backend = providers[0]
        try:
            found_class = pkgutil.resolve_name(backend.target)
        except Exception as exc:
            raise PluginError(
                f"{where}: plugin {plugin} cannot be loaded: {backend.target}: {type(exc).__name__}: {exc}",
                "`inv plugins` shows all; reinstall or remove the plugin",
            ) from exc
        if not isinstance(found_class, type):
            raise PluginError(
                f"{where}: plugin {plugin}: {backend.target} is not a class", "docs/plugins.md shows what a target is"
            )
        return found_class

    def plan(self, stack: StackView, request: Request, facts: Facts) -> Plan:
        """The Plan for a request; PluginError when nobody, or more than one plugin, answers."""
        hook = self.manager.hook.adaf_plan
        arguments = {"stack": stack, "request": request, "facts": facts}
        strangers = [i for i in hook.get_hookimpls() if i.plugin_name != CORE and not (i.wrapper or i.hookwrapper)]
        if len(strangers) > 1:  # firstresult would let the last registered win in silence
            answers = [i.plugin_name for i in strangers if i.function(*(arguments[a] for a in i.argnames)) is not None]
            if len(answers) > 1:
                raise PluginError(
                    f"{request.task}: more than one plugin answers: {', '.join(sorted(answers))}", "remove all but one"
                )
        plan: Plan | None = hook(**arguments)
        if plan is None:
            raise PluginError(f"no plugin has a plan for {request.task}", "`inv plugins` shows what is loaded")
        return plan

    def notify(self, stack: StackView, event: Event) -> list[str]:
        """Tell every observer; returns what went wrong, which stops nothing."""
        trouble = []
        for implementation in self.manager.hook.adaf_event.get_hookimpls():
            plugin = implementation.plugin_name
            arguments = {"stack": stack, "event": event}
            try:
                implementation.function(*(arguments[a] for a in implementation.argnames))
            except InterruptedRunError:  # a signal that came just then is not the plugin's failure
                raise
            except Exception as exc:  # noqa: BLE001
                trouble.append(f"plugin {plugin}: adaf_event: {type(exc).__name__}: {exc}")
                self.broken[plugin] = f"adaf_event: {type(exc).__name__}: {exc}"
        return trouble


def discover(checkout: Path | None = None) -> Registry:
    """Entry points first, sorted, then loose files of ``.adaf/plugins`` and ``ADAF_PLUGINS`` (paths)."""
    registry = Registry()
    for point in sorted(importlib.metadata.entry_points(group=hooks.PROJECT), key=lambda p: p.name):
        registry.origins[point.name] = f"{point.dist.name} {point.dist.version}" if point.dist else ""
        try:
            plugin = point.load()
        except Exception as exc:  # noqa: BLE001
            registry.broken[point.name] = f"{type(exc).__name__}: {exc}"
            continue
        registry.versions[point.name] = point.dist.version if point.dist else ""
        registry.add(point.name, plugin)
    for path in _loose(checkout):
        name = f"file:{path.stem}"
        registry.origins[name] = str(path)
        try:
            registry.add(name, _import_file(path))
        except (Exception, SystemExit) as exc:  # noqa: BLE001  a script without a __main__ guard may call sys.exit()
            registry.broken[name] = f"{type(exc).__name__}: {exc}"
    return registry


def _loose(checkout: Path | None) -> Iterable[Path]:
    folders = [checkout / ".adaf" / "plugins"] if checkout else []
    folders += [Path(part) for part in os.environ.get("ADAF_PLUGINS", "").split(os.pathsep) if part]
    for folder in folders:
        if os.path.isfile(folder):  # noqa: PTH113  Path's own raise where one may not look
            yield folder
        elif os.path.isdir(folder):  # noqa: PTH112
            yield from sorted(folder.glob("*.py"))


def _import_file(path: Path) -> ModuleType:
    name = f"adaf_loose_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # so that Backend targets "adaf_loose_x:Class" resolve
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
