"""The pages that nginx answers with itself: for people as HTML, for programs as JSON (RFC 9457's members)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

STYLE = (
    ":root { color-scheme: light dark } "
    "body { font: 1.05rem/1.55 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem } "
    "h1 { font-size: 1.5rem; line-height: 1.25 } small { opacity: 0.7; overflow-wrap: anywhere }"
)
STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_HTML = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
<p>{text}</p>
<p><small>If you report this, name the request: $edge_id</small></p>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """``caught``: the statuses that it stands for; ``answer``: the one that it is sent with; ``retry``: seconds, or a
    variable of nginx, "" = trying again does not help."""

    name: str
    caught: str
    answer: int
    title: str
    text: str
    retry: str = ""


PAGES = (
    Page("away", "502 504", 502, "This site cannot be reached right now", "Please try again in a moment.", "5"),
    Page(
        "closed", "503", 503, "We are working on it", "This site is down for maintenance and will be back soon.", "60"
    ),
    Page("limited", "429", 429, "Too many requests", "Please wait a moment, then try again.", "$edge_retry"),
    Page("large", "413", 413, "That is too much", "What was sent is larger than this site accepts."),
)


def error_pages() -> str:
    """``error_page`` lines: which of the two, the request says."""
    return "".join(f"        error_page {p.caught} @{p.name}_$edge_kind;\n" for p in PAGES)


def locations(headers: str) -> str:
    """A location for each page and kind; ``headers``: the lines that each needs."""
    return "".join(_location(page, kind, headers) for page in PAGES for kind in ("html", "json"))


def _location(page: Page, kind: str, headers: str) -> str:
    if kind == "html":
        body, of = _HTML.format(title=page.title, text=page.text, style=STYLE), "text/html; charset=utf-8"
    else:
        said = {"status": page.answer, "title": page.title, "detail": page.text, "request": "$edge_id"}
        body, of = json.dumps(said) + "\n", "application/problem+json"
    assert "'" not in body, "would end the quoted word"
    retry = f"            add_header Retry-After {page.retry} always;\n" if page.retry else ""
    quoted = body.replace("\n", "\\n")
    return (
        f"\n        location @{page.name}_{kind} {{\n            internal;\n"
        f'            default_type "{of}";\n{headers}{retry}'
        f"            add_header Cache-Control no-store always;\n            return {page.answer} '{quoted}';\n        }}\n"
    )
