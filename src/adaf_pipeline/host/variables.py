"""Shell lines that put a secret into a variable: a start script reads secrets, and holds none."""

from __future__ import annotations

import shlex
from pathlib import PurePath

# what a URL may not hold as it is; od says bytes, so any value is right, whatever its encoding
_ENCODED = """\
adaf_secret="$(cat {path})" || exit 111
case "$adaf_secret" in *[!-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~]*)
  adaf_secret="$(printf %s "$adaf_secret" | od -An -v -tx1 | tr -d ' \\n' | sed 's/../%&/g')" ;;
esac
{name}={before}"$adaf_secret"{after}; export {name}; unset adaf_secret"""


def secret(name: str, path: PurePath, around: tuple[str, str] = ("", "")) -> str:
    """Shell lines that read a secret's file into a variable; inside a URL it is percent-encoded (RFC 3986)."""
    quoted = shlex.quote(str(path))
    if around == ("", ""):
        return f'{name}="$(cat {quoted})" || exit 111; export {name}'
    before, after = map(shlex.quote, around)
    return _ENCODED.format(name=name, path=quoted, before=before, after=after)
