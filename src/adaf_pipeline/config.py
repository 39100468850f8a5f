"""adaf.yaml, typed. Read in two phases: the core's own keys here, each backend's Settings when it is first used."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from adaf_pipeline import overlays, yamlfile
from adaf_pipeline.errors import ConfigError
from adaf_pipeline.event import Json
from adaf_pipeline.overlays import Sources
from adaf_pipeline.overrides import overrides
from adaf_pipeline.validation import typed

FILE = "adaf.yaml"
S = TypeVar("S")

Percent = Annotated[float, msgspec.Meta(gt=0, lt=100, description="per cent of the visitors")]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]
END = r"$(?!\n)"  # alone, $ lets a line break pass
UrlPath = Annotated[str, msgspec.Meta(pattern=f"^/[!-~]*{END}")]
MaybeUrlPath = Annotated[str, msgspec.Meta(pattern=f"^(/[!-~]*)?{END}")]
WorkerName = Annotated[str, msgspec.Meta(pattern=f"^(?!(blue|green)$)[a-z][a-z0-9-]{{0,20}}{END}")]
Word = Annotated[str, msgspec.Meta(min_length=1)]
Some = Annotated[float, msgspec.Meta(gt=0, le=86400)]
Variable = Annotated[str, msgspec.Meta(pattern=f"^[A-Za-z_][A-Za-z0-9_]*{END}")]  # in a process's environment
Environment = dict[Variable, str]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every typed section."""


class ProbeSettings(Settings, frozen=True):
    """The synthetic visitors that measure every deploy through the public port."""

    rate: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 50  # requests a second
    get: UrlPath | Annotated[tuple[UrlPath, ...], msgspec.Meta(min_length=1)] = "/"  # one, or several asked in turn
    post: MaybeUrlPath = ""  # "" = only GET
    timeout: Some = 5
    baseline: Seconds = 3  # how long before the first change is measured

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.get,) if isinstance(self.get, str) else self.get


class DeploySettings(Settings, frozen=True):
    """How a release goes live."""

    steps: Annotated[tuple[Percent, ...], msgspec.Meta(max_length=20)] = (5, 25, 50)
    window: Some = 20  # seconds a canary step is watched at least, with enough data
    max_windows: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3  # then on_doubt
    on_doubt: Literal["rollback", "continue"] = "rollback"
    bake: Seconds = 20  # watched at 100 % before there is no way back
    passes: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 3  # consecutive readiness answers
    ready_timeout: Some = 120
    warmup: Seconds = 3  # requests to the idle colour before its first visitor: cold code is slow; 0 = none
    absolute_limit: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05  # failing visitors
    tolerance: Annotated[float, msgspec.Meta(ge=1, le=100)] = 1.25  # canary's rate over stable's that is still fine
    keep: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 5  # releases
    probe: ProbeSettings = ProbeSettings()


class AppSettings(Settings, frozen=True):
    """What every application has, whatever its backend."""

    path: Annotated[str, msgspec.Meta(min_length=1, description="the application's folder, relative to adaf.yaml")] = (
        "."
    )
    replicas: Annotated[int, msgspec.Meta(ge=1, le=16, description="web processes a colour")] = 1
    workers: Annotated[
        dict[WorkerName, Annotated[tuple[Word, ...], msgspec.Meta(min_length=1)]],
        msgspec.Meta(description="commands that run beside the web processes: one process each, of the live release"),
    ] = {}


class RetentionSettings(Settings, frozen=True):
    """What `prune` leaves, besides the releases of deploy/keep: a journal goes when both limits are passed."""

    journals: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 200  # the newest ones always stay
    days: Annotated[float, msgspec.Meta(ge=0, le=36500)] = 30  # and the younger ones


class Core(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The core's own keys; role sections stay raw until their backend is known."""

    name: Annotated[str, msgspec.Meta(pattern=f"^[a-z][a-z0-9-]{{0,30}}{END}")] = "local"
    runtime: Any = "local"
    apps: dict[str, Any]
    balancer: Any = "haproxy"
    proxy: Any = "nginx"
    database: Any = "postgres"
    cache: Any = "redis"
    secrets: Any = "files"
    deploy: DeploySettings = DeploySettings()
    retention: RetentionSettings = RetentionSettings()


ROLE_KEYS = ("runtime", "balancer", "proxy", "database", "cache", "secrets")


@dataclass(frozen=True)
class Section:
    """One backend's part of the file: which one, and its raw settings. ``path`` is for errors."""

    path: str
    use: str
    raw: Mapping[str, Json]


@dataclass(frozen=True)
class Config:
    """The whole file after phase one."""

    file: Path
    name: str
    roles: Mapping[str, Section]
    apps: Mapping[str, Section]
    deploy: DeploySettings
    retention: RetentionSettings
    sources: Sources = field(default_factory=lambda: Sources(FILE))

    def app(self, name: str) -> tuple[AppSettings, Section]:
        """The core's keys of an application, and what is left for its backend."""
        section = self.apps[name]
        own = {key: value for key, value in section.raw.items() if key in AppSettings.__struct_fields__}
        rest = {key: value for key, value in section.raw.items() if key not in own}
        return typed(own, AppSettings, section.path, self.sources), Section(section.path, section.use, rest)

    def settings(self, section: Section, kind: type[S]) -> S:
        """Phase two: a section as its backend's Settings."""
        also = AppSettings.__struct_fields__ if section.path.startswith("apps/") else ()
        return typed(section.raw, kind, section.path, self.sources, ("use", *also))

    def blame(self, error: ConfigError) -> ConfigError:
        """What a backend refused, ``apps/web/entry: ...``, with the file, overlay or variable that says it."""
        path = error.message.partition(": ")[0]
        known = {section.path for section in (*self.roles.values(), *self.apps.values())}
        if not any(path == one or path.startswith(f"{one}/") for one in known):
            return error
        return ConfigError(f"{self.sources.of(path)}: {error.message}", error.hint, detail=error.detail)


def find(start: Path | None = None) -> Path:
    """adaf.yaml here or in a folder above (ADAF_CONFIG names another). ConfigError when there is none."""
    named = Path(os.environ.get("ADAF_CONFIG", ""))
    if named.is_absolute():
        return named
    try:
        here = (start or Path.cwd()).absolute()
    except OSError as exc:  # somebody removed it
        raise ConfigError(f"the current folder is gone: {exc.strerror}", "cd into the project's folder") from exc
    if named.name:
        return here / named
    for folder in (here, *here.parents):
        if os.path.lexists(folder / FILE):  # a link that leads nowhere is the mistake to be told of
            return folder / FILE
    raise ConfigError(
        f"{FILE}: not found in {here} or above",
        "run this in the project's folder, or set ADAF_CONFIG; docs/applications.md has whole ones to begin with",
    )


def load(file: Path, stack: str = "", environ: Mapping[str, str] | None = None, said_by: str = "--stack") -> Config:
    """Read and check the core's keys: the file, the overlay of ``stack``, the ADAF_A__B of ``environ``.

    ConfigError with the path of the key, who said it, and a suggestion. ``said_by``: who named the stack.
    """
    tree, sources = _layers(file, stack, environ or {}, said_by)
    core = typed(tree, Core, "", sources)
    if not core.apps:
        where = sources.where("apps")
        raise ConfigError(f"{where}: no application", "for example  apps: {web: {use: nextjs, path: .}}")
    for name in core.apps:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,20}", name):
            where = sources.where(f"apps/{name}")
            raise ConfigError(f"{where}: not a name", "lower-case letters, digits and dashes, at most 21")
    roles = {key: _section(getattr(core, key), key, sources) for key in ROLE_KEYS}
    apps = {name: _section(value, f"apps/{name}", sources) for name, value in core.apps.items()}
    if len(core.apps) > 1:
        where = sources.where(f"apps/{sorted(core.apps)[1]}")
        raise ConfigError(f"{where}: one application a stack for now", "give it a stack of its own")
    if list(core.deploy.steps) != sorted(set(core.deploy.steps)):
        given = ", ".join(f"{percent:g}" for percent in core.deploy.steps)
        raise ConfigError(
            f"{sources.where('deploy/steps')}: [{given}] does not rise", "for example  steps: [5, 25, 50]"
        )
    return Config(file, core.name, roles, apps, core.deploy, core.retention, sources)


def _layers(file: Path, stack: str, environ: Mapping[str, str], said_by: str) -> tuple[Json, Sources]:
    tree, sources = yamlfile.read(file), Sources(file.name)
    defaults = {field.name: field.default for field in msgspec.structs.fields(Core) if field.name in ROLE_KEYS}
    if isinstance(tree, dict):
        overlays.spell_out(tree, defaults)
        overlays.name_defaults(tree, defaults)
    own = tree.get("name", Core.name) if isinstance(tree, dict) else ""
    if stack and (stack != own or stack in overlays.overlays(file)):
        beside = overlays.overlay(file, stack, said_by)
        layer = overlays.read(beside)
        if layer.get("name") is None:
            layer["name"] = stack
        if isinstance(tree, dict):
            overlays.put(tree, layer, beside.name, sources, defaults)
    for variable, path, value in overrides(environ, tree):
        for key in reversed(path):
            value = {key: value}
        if isinstance(tree, dict):
            overlays.put(tree, value, variable, sources, defaults)
    return tree, sources


def _section(value: Any, path: str, sources: Sources) -> Section:
    if isinstance(value, str):
        return Section(path, value, {})
    if not isinstance(value, dict):
        raise ConfigError(
            f"{sources.where(path)}: expected a backend's name or a mapping, got {_kind(value)}",
            f"for example  {path}: {{use: NAME}}",
        )
    raw = dict(value)
    use = raw.pop("use", None)
    if not isinstance(use, str):
        raise ConfigError(
            f"{sources.where(f'{path}/use')}: which backend? (a name)", "`inv plugins` lists what there is"
        )
    return Section(path, use, raw)


def _kind(value: Any) -> str:
    names: dict[type, str] = {
        list: "a list",
        dict: "a mapping",
        int: "a number",
        float: "a number",
        bool: "true/false",
        type(None): "nothing",
    }
    return names.get(type(value), "something else")
