"""What was recorded of a site: its answers, and what its markup says in place of headers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from urllib.parse import urlsplit

HTML = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True)
class Answer:
    """One answer. ``headers`` as they came, one pair a line; ``body`` may be "" where it is not HTML."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str = ""

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value.strip() for key, value in self.headers if key.lower() == name)

    def header(self, name: str) -> str:
        """Lines of one name joined, as a client joins them; "" without any."""
        return ", ".join(self.all(name))

    @property
    def https(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @cached_property
    def markup(self) -> Markup:
        found = Markup()
        if self.is_html:
            found.feed(self.body)
        return found

    @property
    def is_html(self) -> bool:
        """An answer that does not say what it is counts as a page."""
        kind = self.header("content-type").partition(";")[0].strip().lower()
        return not kind or kind in HTML


@dataclass(frozen=True)
class Recorded:
    """What the algorithm looks at.

    page: the answer at the end of all redirects.
    route: the addresses from ``http://`` on, redirects included; empty where nothing answers without TLS.
    cross: the answer to a preflight from ``origin``, if there was one.
    more_cookies: ``Set-Cookie`` of other answers (the scanner asks for robots.txt).
    trusted: whether the certificate was; preloaded: whether browsers have the host in their list.
    """

    page: Answer
    route: tuple[str, ...] = ()
    cross: Answer | None = None
    origin: str = ""
    more_cookies: tuple[str, ...] = ()
    trusted: bool = True
    preloaded: bool = False


class Markup(HTMLParser):
    """The elements that count: policies said by ``<meta>``, and scripts (their attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self.policies: list[str] = []
        self.referrer: str | None = None
        self.scripts: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        content = said.get("content")
        if tag == "script":
            self.scripts.append(said)
        elif tag == "meta" and content is not None:
            if "http-equiv" in said:
                if (said["http-equiv"] or "").strip().lower() == "content-security-policy":
                    self.policies.append(content)
            elif (said.get("name") or "").strip().lower() == "referrer":
                self.referrer = content
