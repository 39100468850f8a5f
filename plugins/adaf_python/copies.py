"""Tools of the pipeline's own environment, where the building account can read them: a checkout may lie in a closed home."""

from __future__ import annotations

import os
import re
import shutil
from importlib import metadata
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def copied(name: str, tools: Path) -> Path:
    """A folder below ``tools`` with that distribution and all it needs, for PYTHONPATH. Made once a version.

    PackageNotFoundError when it is not installed, or does not say which files are its own.
    """
    target = tools / name / metadata.version(name)
    if target.exists():
        return target
    new = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    for distribution in _needed(name, {}).values():
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and "__pycache__" not in file.parts and source.is_file():
                place = new / file
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)
    for folder, _, names in os.walk(new):
        Path(folder).chmod(0o755)
        for entry in names:
            (Path(folder) / entry).chmod(0o644)
    for above in (tools, target.parent):
        above.chmod(0o755)
    try:
        new.rename(target)
    except OSError:  # another run was faster
        shutil.rmtree(new, ignore_errors=True)
    return target


def _needed(name: str, found: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """The distribution and those that it requires; what is required for another Python only is not installed."""
    if name.lower() in found:
        return found
    found[name.lower()] = distribution = metadata.distribution(name)
    if distribution.files is None:  # a system's package manager keeps no list
        raise metadata.PackageNotFoundError(name)
    for line in distribution.requires or ():
        wanted = _NAME.match(line)
        if wanted and "extra ==" not in line:
            try:
                _needed(wanted[0], found)
            except metadata.PackageNotFoundError:
                continue
    return found
