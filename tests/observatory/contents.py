"""The tests of what a page may do and be part of: CSP, framing, referrer, sniffing, integrity, isolation."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from observatory import policy
from observatory.recorded import Recorded

BROAD = frozenset({"ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"})
UNSAFE = BROAD | {"'unsafe-inline'", "data:"}
TRUSTED_BY = ("'sha256-", "'sha384-", "'sha512-", "'nonce-")
PASSIVE = ("img-src", "media-src")
ANYTHING, NOTHING = frozenset({"*"}), frozenset({"'none'"})

PRIVATE = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
LEAKING = ("origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade")

# From the best on: the worst of all scripts counts.
INTEGRITY = (
    "sri-implemented-and-all-scripts-loaded-securely",
    "sri-implemented-and-external-scripts-loaded-securely",
    "sri-implemented-but-external-scripts-not-loaded-securely",
    "sri-not-implemented-but-external-scripts-loaded-securely",
    "sri-not-implemented-and-external-scripts-not-loaded-securely",
)
# An item of RFC 8941 that is a token, with parameters: the whole of it has to be well-formed.
WORD = r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
VALUE = rf"\"(?:[ !#-\[\]-~]|\\[\"\\])*\"|{WORD}|-?\d{{1,15}}(?:\.\d{{1,3}})?|\?[01]|:[A-Za-z0-9+/=]*:"
TOKEN = re.compile(rf"({WORD})(?:; *[a-z*][a-z0-9_.*-]*(?:=(?:{VALUE}))?)*")


def content_security_policy(recorded: Recorded) -> str:
    return _policy(recorded)[0]


def _policy(recorded: Recorded) -> tuple[str, policy.Policy]:
    """The result, and the policy that there is in the end (empty unless it could be read)."""
    page = recorded.page
    in_headers = policy.split(page.all("content-security-policy"))
    in_markup = policy.split(page.markup.policies)
    try:
        csp, repeated = policy.parse([*in_headers, *in_markup])
    except policy.PolicyError:
        return "csp-header-invalid", {}
    if not policy.parse(in_headers)[0] and not policy.parse_markup(in_markup):
        reporting = page.header("content-security-policy-report-only")
        return "csp-not-implemented" + ("-but-reporting-enabled" if reporting else ""), {}
    result = _judge(csp, https=page.https)
    if repeated and result in (
        "csp-implemented-with-no-unsafe",
        "csp-implemented-with-no-unsafe-default-src-none",
        "csp-implemented-with-unsafe-inline-in-style-src-only",
        "csp-implemented-with-insecure-scheme-in-passive-content-only",
    ):
        result = "csp-implemented-but-duplicate-directives"
    return result, csp


def _judge(csp: policy.Policy, *, https: bool) -> str:
    default = csp.get("default-src")
    script, style, plugin = (csp.get(name) or default or ANYTHING for name in ("script-src", "style-src", "object-src"))
    # A browser that knows nonces and hashes ignores what is there for those that do not.
    script, style = (s - {"'unsafe-inline'"} if _trusts_by_mark(s) else s for s in (script, style))
    if "'strict-dynamic'" in script:
        if not _trusts_by_mark(script):
            return "csp-header-invalid"
        script = frozenset(s for s in script if s != "'self'" and not s.startswith(tuple(BROAD)))
    others = [sources for name, sources in csp.items() if name not in (*PASSIVE, "script-src")]
    active = script.union(*others)
    passive = frozenset().union(*(csp.get(name) or default or frozenset() for name in PASSIVE))
    if script & UNSAFE or plugin & BROAD:
        return "csp-implemented-with-unsafe-inline"
    if https and _over_http(active):
        return "csp-implemented-with-insecure-scheme"
    if "'unsafe-eval'" in script | style:
        return "csp-implemented-with-unsafe-eval"
    if https and _over_http(passive):
        return "csp-implemented-with-insecure-scheme-in-passive-content-only"
    if style & UNSAFE:
        return "csp-implemented-with-unsafe-inline-in-style-src-only"
    return "csp-implemented-with-no-unsafe" + ("-default-src-none" if default == NOTHING else "")


def _trusts_by_mark(sources: frozenset[str]) -> bool:
    return any(source.startswith(TRUSTED_BY) for source in sources)


def _over_http(sources: frozenset[str]) -> bool:
    return any(source.startswith(("http:", "ftp:")) for source in sources)


def frame_options(recorded: Recorded) -> str:
    if "frame-ancestors" in _policy(recorded)[1]:
        return "x-frame-options-implemented-via-csp"
    said = recorded.page.header("x-frame-options").lower()
    if not said:
        return "x-frame-options-not-implemented"
    if said in ("deny", "sameorigin"):
        return "x-frame-options-sameorigin-or-deny"
    return f"x-frame-options-{'allow-from-origin' if said.startswith('allow-from') else 'header-invalid'}"


def content_type_options(recorded: Recorded) -> str:
    said = recorded.page.header("x-content-type-options").lower()
    if not said:
        return "x-content-type-options-not-implemented"
    return f"x-content-type-options-{'nosniff' if said == 'nosniff' else 'header-invalid'}"


def referrer_policy(recorded: Recorded) -> str:
    referrer = recorded.page.markup.referrer
    said = [*recorded.page.all("referrer-policy"), *([referrer] if referrer is not None else [])]
    if not said:
        return "referrer-policy-not-implemented"
    known = [word for word in (part.strip().lower() for part in ",".join(said).split(",")) if word in PRIVATE + LEAKING]
    if not known:
        return "referrer-policy-header-invalid"
    return f"referrer-policy-{'private' if known[-1] in PRIVATE else 'unsafe'}"


def resource_policy(recorded: Recorded) -> str:
    said = recorded.page.header("cross-origin-resource-policy").lower()
    if not said:
        return "corp-not-implemented"
    return (
        f"corp-implemented-with-{said}"
        if said in ("same-origin", "same-site", "cross-origin")
        else "corp-header-invalid"
    )


def embedder_policy(recorded: Recorded) -> str:
    return _isolation(
        recorded, "coep", "cross-origin-embedder-policy", ("require-corp", "credentialless", "unsafe-none")
    )


def opener_policy(recorded: Recorded) -> str:
    values = ("same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none")
    return _isolation(recorded, "coop", "cross-origin-opener-policy", values)


def _isolation(recorded: Recorded, short: str, name: str, values: tuple[str, ...]) -> str:
    said = recorded.page.header(name)
    if not said:
        return f"{short}-not-implemented"
    token = TOKEN.fullmatch(said)
    return f"{short}-implemented-with-{token[1]}" if token and token[1] in values else f"{short}-header-invalid"


def subresource_integrity(recorded: Recorded) -> str:
    page = recorded.page
    if not page.is_html:
        return "sri-not-implemented-response-not-html"
    scripts = page.markup.scripts
    if not scripts:
        return "sri-not-implemented-but-no-scripts-loaded"
    worst, foreign = "", False
    for script in scripts:
        source, integrity = script.get("src") or "", bool(script.get("integrity"))
        if not source:
            continue
        address = urlsplit(source)
        bare = source.startswith("//")
        relative = not bare and not re.match(r"https?://", source)
        if relative or (not bare and _site(address.hostname or "") == _site(page.host)):
            secure = page.https if relative else address.scheme == "https"
            if integrity and secure and not worst:
                worst = INTEGRITY[0]
            continue
        foreign = True
        secure = address.scheme == "https"
        if not integrity or not secure:
            found = INTEGRITY[2] if integrity else INTEGRITY[3] if secure else INTEGRITY[4]
            worst = max(worst or found, found, key=INTEGRITY.index)
    if worst:
        return worst
    return INTEGRITY[1] if foreign else "sri-not-implemented-but-all-scripts-loaded-from-secure-origin"


def _site(host: str) -> str:
    """The last two labels: good enough without the list of public suffixes that the scanner has."""
    return ".".join(host.lower().split(".")[-2:])
