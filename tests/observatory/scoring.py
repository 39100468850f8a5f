"""The sum: 100, less the penalties; what is 90 then gets the bonuses too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from observatory import contents, transport
from observatory.recorded import Recorded

START = 100
BONUSES_FROM = 90
CEILING = 165  # 160 for a host that is in no browser's preload list
GRADES = (
    (100, "A+"), (90, "A"), (85, "A-"), (80, "B+"), (70, "B"), (65, "B-"), (60, "C+"),
    (50, "C"), (45, "C-"), (40, "D+"), (30, "D"), (25, "D-"), (0, "F"),
)  # fmt: skip

TESTS: tuple[tuple[str, Callable[[Recorded], str]], ...] = (
    ("content-security-policy", contents.content_security_policy),
    ("cookies", transport.cookies),
    ("cross-origin-resource-sharing", transport.resource_sharing),
    ("redirection", transport.redirection),
    ("referrer-policy", contents.referrer_policy),
    ("strict-transport-security", transport.strict_transport_security),
    ("subresource-integrity", contents.subresource_integrity),
    ("x-content-type-options", contents.content_type_options),
    ("x-frame-options", contents.frame_options),
    ("cross-origin-resource-policy", contents.resource_policy),
    ("cross-origin-embedder-policy", contents.embedder_policy),
    ("cross-origin-opener-policy", contents.opener_policy),
)

POINTS = {
    "csp-implemented-with-no-unsafe-default-src-none": 10,
    "csp-implemented-with-no-unsafe": 5,
    "csp-implemented-with-unsafe-inline-in-style-src-only": 0,
    "csp-implemented-but-duplicate-directives": 0,
    "csp-implemented-with-insecure-scheme-in-passive-content-only": -10,
    "csp-implemented-with-unsafe-eval": -10,
    "csp-implemented-with-unsafe-inline": -20,
    "csp-implemented-with-insecure-scheme": -20,
    "csp-header-invalid": -25,
    "csp-not-implemented": -25,
    "csp-not-implemented-but-reporting-enabled": -25,
    "cookies-secure-with-httponly-sessions-and-samesite": 5,
    "cookies-secure-with-httponly-sessions": 0,
    "cookies-not-found": 0,
    "cookies-without-secure-flag-but-protected-by-hsts": -5,
    "cookies-session-without-secure-flag-but-protected-by-hsts": -10,
    "cookies-without-secure-flag": -20,
    "cookies-samesite-flag-invalid": -20,
    "cookies-anticsrf-without-samesite-flag": -20,
    "cookies-session-without-httponly-flag": -30,
    "cookies-session-without-secure-flag": -40,
    "cross-origin-resource-sharing-not-implemented": 0,
    "cross-origin-resource-sharing-implemented-with-public-access": 0,
    "cross-origin-resource-sharing-implemented-with-restricted-access": 0,
    "cross-origin-resource-sharing-implemented-with-universal-access": -50,
    "redirection-all-redirects-preloaded": 0,
    "redirection-to-https": 0,
    "redirection-not-needed-no-http": 0,
    "redirection-off-host-from-http": -5,
    "redirection-not-to-https-on-initial-redirection": -10,
    "redirection-not-to-https": -20,
    "redirection-missing": -20,
    "redirection-invalid-cert": -20,
    "referrer-policy-private": 5,
    "referrer-policy-not-implemented": 0,
    "referrer-policy-unsafe": -5,
    "referrer-policy-header-invalid": -5,
    "hsts-preloaded": 5,
    "hsts-implemented-max-age-at-least-six-months": 0,
    "hsts-implemented-max-age-less-than-six-months": -10,
    "hsts-not-implemented": -20,
    "hsts-header-invalid": -20,
    "hsts-not-implemented-no-https": -20,
    "hsts-invalid-cert": -20,
    "sri-implemented-and-all-scripts-loaded-securely": 5,
    "sri-implemented-and-external-scripts-loaded-securely": 5,
    "sri-not-implemented-response-not-html": 0,
    "sri-not-implemented-but-no-scripts-loaded": 0,
    "sri-not-implemented-but-all-scripts-loaded-from-secure-origin": 0,
    "sri-not-implemented-but-external-scripts-loaded-securely": -5,
    "sri-implemented-but-external-scripts-not-loaded-securely": -20,
    "sri-not-implemented-and-external-scripts-not-loaded-securely": -50,
    "x-content-type-options-nosniff": 0,
    "x-content-type-options-not-implemented": -5,
    "x-content-type-options-header-invalid": -5,
    "x-frame-options-implemented-via-csp": 5,
    "x-frame-options-sameorigin-or-deny": 0,
    "x-frame-options-allow-from-origin": 0,
    "x-frame-options-not-implemented": -20,
    "x-frame-options-header-invalid": -20,
    "corp-implemented-with-same-origin": 10,
    "corp-implemented-with-same-site": 10,
    "corp-implemented-with-cross-origin": 0,
    "corp-not-implemented": 0,
    "corp-header-invalid": -5,
    "coep-implemented-with-require-corp": 10,
    "coep-implemented-with-credentialless": 10,
    "coep-implemented-with-unsafe-none": 0,
    "coep-not-implemented": 0,
    "coep-header-invalid": -5,
    "coop-implemented-with-same-origin": 10,
    "coop-implemented-with-same-origin-allow-popups": 10,
    "coop-implemented-with-noopener-allow-popups": 10,
    "coop-implemented-with-unsafe-none": 0,
    "coop-not-implemented": 0,
    "coop-header-invalid": -5,
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one test found, in the scanner's words, and its points."""

    test: str
    found: str
    points: int


@dataclass(frozen=True, slots=True)
class Score:
    """0 to CEILING. ``results``: one of each test, in the scanner's order."""

    points: int
    grade: str
    results: tuple[Result, ...]

    @property
    def line(self) -> str:
        """``160 of 165 (A+)``, and what took points away."""
        losses = ", ".join(f"{result.found} {result.points}" for result in self.results if result.points < 0)
        return f"{self.points} of {CEILING} ({self.grade})" + (f": {losses}" if losses else "")


def score(recorded: Recorded) -> Score:
    """Pure. An answer of any status is scored; the scanner itself takes 2xx only."""
    found = [(name, test(recorded)) for name, test in TESTS]
    results = tuple(Result(name, said, POINTS[said]) for name, said in found)
    bare = START + sum(result.points for result in results if result.points < 0)
    points = START + sum(result.points for result in results) if bare >= BONUSES_FROM else bare
    points = max(points, 0)
    return Score(points, next(grade for least, grade in GRADES if points >= least), results)
