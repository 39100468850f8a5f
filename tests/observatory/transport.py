"""The tests of how a site is reached, and of what it keeps with its visitors: HSTS, redirects, cookies, CORS."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from observatory.recorded import Recorded

SIX_MONTHS = 15_552_000  # seconds; 180 days, which many call so

# From the least bad on: the worst of all cookies counts.
COOKIES = (
    "cookies-without-secure-flag-but-protected-by-hsts",
    "cookies-without-secure-flag",
    "cookies-session-without-secure-flag-but-protected-by-hsts",
    "cookies-samesite-flag-invalid",
    "cookies-anticsrf-without-samesite-flag",
    "cookies-session-without-httponly-flag",
    "cookies-session-without-secure-flag",
)
NOT_OURS = ("heroku-session-affinity",)  # set by a platform, which the site cannot change


def strict_transport_security(recorded: Recorded) -> str:
    page = recorded.page
    if not page.https:
        return "hsts-not-implemented-no-https"
    if recorded.preloaded:
        return "hsts-preloaded"
    if not recorded.trusted:
        return "hsts-invalid-cert"
    header = page.header("strict-transport-security")[:1024]
    if not header:
        return "hsts-not-implemented"
    words = [word.strip().lower() for word in header.split(";")]
    ages = [word.removeprefix("max-age=") for word in words if word.startswith("max-age=")]
    if "," in header or not ages or not (digits := _leading_digits(ages[-1])):
        return "hsts-header-invalid"  # a comma: it was sent twice
    long_enough = int(digits) >= SIX_MONTHS
    return f"hsts-implemented-max-age-{'at-least' if long_enough else 'less-than'}-six-months"


def redirection(recorded: Recorded) -> str:
    if not recorded.route:
        return "redirection-not-needed-no-http"
    if not recorded.trusted:
        return "redirection-invalid-cert"
    if recorded.preloaded:
        return "redirection-all-redirects-preloaded"
    route = [urlsplit(address) for address in recorded.route]
    if len(route) == 1:
        return "redirection-missing"
    if route[-1].scheme != "https":
        return "redirection-not-to-https"
    if route[1].scheme == "http":
        return "redirection-not-to-https-on-initial-redirection"
    if route[0].scheme == "http" and route[0].hostname != route[1].hostname:
        return "redirection-off-host-from-http"
    return "redirection-to-https"


def resource_sharing(recorded: Recorded) -> str:
    allowed = recorded.cross.header("access-control-allow-origin") if recorded.cross else ""
    if recorded.cross is None or not allowed:
        return "cross-origin-resource-sharing-not-implemented"
    if allowed == "*":
        return "cross-origin-resource-sharing-implemented-with-public-access"
    with_credentials = recorded.cross.header("access-control-allow-credentials").lower() == "true"
    if allowed == recorded.origin and with_credentials:
        return "cross-origin-resource-sharing-implemented-with-universal-access"
    return "cross-origin-resource-sharing-implemented-with-restricted-access"


@dataclass(frozen=True, slots=True)
class Cookie:
    """One ``Set-Cookie``. ``same_site``: lax, strict, none, "" where it is not said, or what is said wrongly."""

    name: str
    secure: bool
    http_only: bool
    same_site: str
    says_same_site: bool

    @classmethod
    def read(cls, line: str) -> Cookie:
        first, *rest = line.split(";")
        flags = {
            name.strip().lower(): value.strip().lower() for name, _, value in (word.partition("=") for word in rest)
        }
        name = first.partition("=")[0].strip()
        return cls(name, "secure" in flags, "httponly" in flags, flags.get("samesite", ""), "samesite" in flags)

    def faults(self, hsts: bool) -> list[str]:
        name = self.name.lower()
        session = "login" in name or "sess" in name
        known = self.same_site in ("lax", "strict", "none")
        found = []
        if (self.says_same_site and not known) or (self.same_site == "none" and not self.secure):
            found.append("cookies-samesite-flag-invalid")
        if not self.secure:
            behind = "-but-protected-by-hsts" if hsts else ""
            found.append(f"cookies-without-secure-flag{behind}")
            if session:
                found.append(f"cookies-session-without-secure-flag{behind}")
        if "csrf" in name and not known:
            found.append("cookies-anticsrf-without-samesite-flag")
        if session and not self.http_only:
            found.append("cookies-session-without-httponly-flag")
        return found


def cookies(recorded: Recorded) -> str:
    lines = (*recorded.page.all("set-cookie"), *recorded.more_cookies)
    found = [cookie for cookie in map(Cookie.read, lines) if cookie.name and cookie.name not in NOT_OURS]
    if not found:
        return "cookies-not-found"
    protected = strict_transport_security(recorded) in (
        "hsts-preloaded",
        "hsts-implemented-max-age-at-least-six-months",
    )
    faults = [fault for cookie in found for fault in cookie.faults(protected)]
    if faults:
        return max(faults, key=COOKIES.index)
    same_site = all(cookie.same_site for cookie in found)
    return "cookies-secure-with-httponly-sessions" + ("-and-samesite" if same_site else "")


def _leading_digits(text: str) -> str:
    digits = text.strip()
    while digits and not digits.isdecimal():
        digits = digits[:-1]
    return digits
