"""How a registry is reached: what the caller's surroundings say about it, and none of its credentials."""

from __future__ import annotations

import os
import re
from pathlib import Path

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "npm_config_registry", "npm_config_cafile")
_LINE = re.compile(r"\s*(?:@[\w.-]+:)?(?:registry|proxy|https-proxy|noproxy|cafile|strict-ssl)\s*=\s*(\S+)\s*")


def environment() -> dict[str, str]:
    """The variables of ours that the installer needs, and nothing else does."""
    wanted = {spelling for name in VARIABLES for spelling in (name, name.lower(), name.upper())}
    return {name: os.environ[name] for name in sorted(wanted) if name in os.environ}


def npmrc() -> str:
    """The lines about the network of the caller's own .npmrc, which the building account cannot read."""
    named = next((os.environ[n] for n in ("npm_config_userconfig", "NPM_CONFIG_USERCONFIG") if n in os.environ), "")
    file = Path(named) if named else Path.home() / ".npmrc"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    found = [(line.strip(), match.group(1)) for line in lines if (match := _LINE.fullmatch(line))]
    return "".join(f"{line}\n" for line, value in found if "@" not in value and "$" not in value)
