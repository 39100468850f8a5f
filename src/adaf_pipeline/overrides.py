"""``ADAF_DEPLOY__BAKE=5`` is ``deploy: {bake: 5}``, above every file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adaf_pipeline import yamlfile
from adaf_pipeline.errors import ConfigError

PREFIX, BETWEEN = "ADAF_", "__"  # without a BETWEEN a variable is somebody else's: ADAF_STACK, ADAF_TOOLS, ...
DEPTH = 10
Path = tuple[str, ...]


def overrides(environ: Mapping[str, str], tree: Any) -> Iterator[tuple[str, Path, Any]]:
    """(variable, path, value) of every override, outer paths first; an empty variable counts as not set.

    ``tree`` is what the files say: names in it are found whatever their case, with ``-`` for ``_``.
    ConfigError for a variable that is no path, is no value, or says what another one says.
    """
    found: dict[Path, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or BETWEEN not in variable[len(PREFIX) :] or environ[variable] == "":
            continue
        path = _path(variable, tree)
        if path in found:
            raise ConfigError(f"{variable}: {'/'.join(path)}: {found[path]} says it as well", "unset one of the two")
        found[path] = variable
    for path in sorted(found, key=lambda path: (len(path), path)):
        variable = found[path]
        yield variable, path, _value(environ[variable], variable, path)


def _path(variable: str, tree: Any) -> Path:
    parts = variable[len(PREFIX) :].split(BETWEEN)
    found: Path = ()
    for number, part in enumerate(parts):
        if _free(found):  # names of the application's own environment are written as they are
            return (*found, BETWEEN.join(parts[number:]))
        if not part or part.startswith("_") or "/" in part or number >= DEPTH or not variable.isprintable():
            raise ConfigError(
                f"{variable!r}: not a path of adaf.yaml", "for example ADAF_DEPLOY__BAKE=5 for deploy/bake"
            )
        keys = tree if isinstance(tree, dict) else {}
        name = next((key for key in keys if _plain(key) == part.lower()), part.lower())
        tree, found = keys.get(name), (*found, name)
    return found


def _plain(key: str) -> str:
    return key.lower().replace("-", "_")


def _free(path: Path) -> bool:
    """Whether names below it are the user's own: ``apps/NAME/environment``, ``apps/NAME/build_environment``."""
    return len(path) == 3 and path[0] == "apps" and path[2].endswith("environment")


def _value(text: str, variable: str, path: Path) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(f"{variable}: {'/'.join(path)}: not UTF-8 text", "write it as UTF-8") from exc
    if _free(path[:3]) and len(path) > 3:
        return text
    return yamlfile.value(text, variable, "/".join(path))
