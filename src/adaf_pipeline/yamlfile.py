"""Reading adaf.yaml: plain YAML of a sane size, in which nothing is said twice. Every refusal says where."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import yaml

from adaf_pipeline.errors import ConfigError
from adaf_pipeline.event import Json

BYTES = 1_000_000  # a configuration that is longer is a mistake: a dump, a log, the wrong file
DEPTH = 50
PLAIN = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq"))
TIMESTAMP = "tag:yaml.org,2002:timestamp"  # text to us: `until: 2027-01-31`


def read(file: Path) -> Json:
    """The file's content as plain data, {} when it is empty. ConfigError for anything but one sound YAML document."""
    try:
        with open(file, "rb", opener=_at_once) as source:
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                raise ConfigError(f"{file}: cannot be read: not a file", "it has to be a readable text file")
            raw = source.read(BYTES + 1)
    except FileNotFoundError as exc:
        dangles = f", it is a link to {file.readlink()}" if file.is_symlink() else ""
        raise ConfigError(f"{file}: not found{dangles}", "`ADAF_CONFIG` or the current folder must lead to it") from exc
    except OSError as exc:
        raise ConfigError(f"{file}: cannot be read: {exc.strerror}", "it has to be a readable text file") from exc
    if len(raw) > BYTES:
        raise ConfigError(f"{file}: more than a megabyte", "is it the right file?")
    try:
        body = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file}: cannot be read: not UTF-8 text", "save it as UTF-8") from exc
    found = _parse(body, file.name)
    return {} if found is None else found


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would make us wait for its writer


def value(text: str, variable: str, path: str) -> Json:
    """What a variable says about ``path``: one scalar, [list] or {mapping}. ConfigError for anything else."""
    if len(text) > BYTES:
        raise ConfigError(f"{variable}: {path}: more than a megabyte", "is it the right variable?")
    return _parse(text, variable, path)


def _parse(body: str, name: str, path: str = "") -> Json:
    """``path``: where the value belongs that ``body`` is; "" for a whole file."""
    try:
        _look(body, name, path)
        node = yaml.compose(body, Loader=yaml.CSafeLoader)
        if path and isinstance(node, yaml.CollectionNode) and not node.flow_style:
            raise ConfigError(f"{name}: {path}: not one value", "quote it, or write [a, b] or {a: b}")
        if node is not None:
            _check(node, name, path)
        return yaml.load(body, Loader=_Loader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        hint = "look at the indentation there" if not path else "quote what is text"
        raise ConfigError(f"{where}: {path and path + ': '}not YAML: {exc.problem or exc.context}", hint) from exc
    except yaml.YAMLError as exc:
        said = " ".join(str(exc).split())
        raise ConfigError(f"{name}: {path and path + ': '}not YAML: {said}", "it has to be plain YAML text") from exc
    except (ValueError, RecursionError, OverflowError) as exc:  # impossible dates, numbers without an end
        raise ConfigError(
            f"{name}: {path and path + ': '}a value cannot be read: {exc}", "quote it, or write it another way"
        ) from exc


class _Loader(yaml.CSafeLoader):
    """A day is text to the settings, which know what they want of it."""


_Loader.add_constructor(TIMESTAMP, _Loader.construct_yaml_str)  # type: ignore[type-var]


def _look(body: str, name: str, path: str) -> None:
    """What must be refused before anything is built from it."""
    depth = documents = 0
    for event in yaml.parse(body, Loader=yaml.CSafeLoader):
        mark = event.start_mark
        where = (f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name) + (path and f": {path}")
        if isinstance(event, yaml.AliasEvent):  # a few lines of them unfold to gigabytes
            raise ConfigError(f"{where}: *{event.anchor}: aliases are not read", "write the value out")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if documents > 1:
            raise ConfigError(f"{where}: a second document", "one file is one stack: remove the `---`")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise ConfigError(f"{where}: nested more than {DEPTH} deep", "look for a bracket that is never closed")


def _check(node: yaml.Node, name: str, path: str) -> None:
    """Keys are text and said once; numbers are numbers."""
    where = f"{name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
    endless = isinstance(node, yaml.ScalarNode) and node.value.lower().lstrip("+-") in (".nan", ".inf")
    if endless and node.tag.endswith(":float"):
        raise ConfigError(f"{where}: {path}: {node.value} is no number to work with", "write a finite one")
    if node.tag not in (*PLAIN, TIMESTAMP):
        kind = node.tag.rpartition(":")[2]
        raise ConfigError(f"{where}: {path or 'the file'}: a {kind} is not read", "quote it")
    if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
        raise ConfigError(f"{where}: {path}: a NUL character", "no program can be told of one")
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _check(item, name, f"{path}/{number}")
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        at = f"{name}:{line}:{key.start_mark.column + 1}"
        if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
            said = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            raise ConfigError(f"{at}: {path or 'the file'}: the key {said} is not text", "quote it")
        if not key.value or "\0" in key.value:
            raise ConfigError(f"{at}: {path or 'the file'}: the key {key.value!r} is no name", "give it one")
        inner = f"{path}/{key.value}".strip("/")
        if key.value in seen:
            raise ConfigError(f"{at}: {inner}: said twice, first in line {seen[key.value]}", "remove one of the two")
        seen[key.value] = line
        _check(value, name, inner)
