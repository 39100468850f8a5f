"""The Observatory's twelve tests, each with cases of which the scanner's own source and tests say what they are worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from observatory import CEILING, Answer, Recorded, score
from observatory.scoring import POINTS, TESTS

CSP = "default-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; frame-ancestors 'none'"
BEST = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": CSP,
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Set-Cookie": "__Host-session=1; Secure; HttpOnly; SameSite=Lax; Path=/",
}
BODY = '<!doctype html><title>x</title><script src="/a.js" integrity="sha384-x"></script>'


def site(
    headers: dict[str, str | list[str]] | None = None, body: str = BODY, url: str = "https://site.test/"
) -> Recorded:
    """The best site there is, with some headers changed; an empty value leaves a header away."""
    said: dict[str, str | list[str]] = {**BEST, **(headers or {})}
    lines = [
        (name, one) for name, value in said.items() for one in ([value] if isinstance(value, str) else value) if one
    ]
    return Recorded(Answer(url, 200, tuple(lines), body), route=("http://site.test/", "https://site.test/"))


def found(recorded: Recorded, test: str) -> str:
    return next(result.found for result in score(recorded).results if result.test == test)


def test_the_best_there_is_and_the_ceiling() -> None:
    assert score(site()).points == CEILING - 5 == 160
    whole = score(replace(site(), preloaded=True))
    assert (whole.points, whole.grade, len(whole.results)) == (CEILING, "A+", 12)
    assert whole.line == "165 of 165 (A+)"


def test_a_site_that_says_nothing() -> None:
    nothing = score(Recorded(Answer("http://site.test/", 200, ()), route=("http://site.test/",)))
    # 100 - 25 (no policy) - 20 (no redirect) - 20 (no HSTS) - 5 (sniffing) - 20 (framing)
    assert (nothing.points, nothing.grade) == (10, "F")
    assert "csp-not-implemented -25" in nothing.line


def test_bonuses_count_from_90_on() -> None:
    assert score(site({"Strict-Transport-Security": "max-age=60"})).points == 150  # 90 and all bonuses
    assert score(site({"Strict-Transport-Security": ""})).points == 80  # below, so none
    assert score(site({"Strict-Transport-Security": ""})).grade == "B+"


SAFE, STRICT = "csp-implemented-with-no-unsafe", "csp-implemented-with-no-unsafe-default-src-none"
INLINE = "csp-implemented-with-unsafe-inline"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (CSP, STRICT),
        ("default-src 'self'", SAFE),
        ("default-src", STRICT),  # a list without sources is 'none'
        ("default-src 'none'; script-src 'self' 'sha256-x' 'unsafe-inline'", STRICT),  # the hash turns it off
        ("default-src 'none'; script-src 'nonce-x' 'strict-dynamic' https: 'unsafe-inline'", STRICT),
        ("default-src 'none'; script-src 'self' 'strict-dynamic'", "csp-header-invalid"),
        ("default-src 'none'; script-src 'unsafe-inline'", INLINE),
        ("default-src 'none'; script-src data:", INLINE),
        ("default-src 'none'; script-src https:", INLINE),
        ("default-src 'none'; object-src *", INLINE),
        ("script-src 'self'", INLINE),  # says nothing of plugins
        ("style-src 'self'", INLINE),  # nor of scripts
        ("default-src 'self'; script-src 'self' http://cdn.test", "csp-implemented-with-insecure-scheme"),
        ("default-src 'self'; connect-src http://api.test", "csp-implemented-with-insecure-scheme"),
        ("default-src 'none'; script-src 'self' 'unsafe-eval'", "csp-implemented-with-unsafe-eval"),
        ("default-src 'none'; style-src 'unsafe-eval'", "csp-implemented-with-unsafe-eval"),
        ("default-src 'none'; img-src http:", "csp-implemented-with-insecure-scheme-in-passive-content-only"),
        ("default-src 'none'; style-src 'unsafe-inline'", "csp-implemented-with-unsafe-inline-in-style-src-only"),
        ("default-src 'none'; style-src data:", "csp-implemented-with-unsafe-inline-in-style-src-only"),
        ("default-src 'none'; img-src data:", STRICT),
        ("DEFAULT-SRC 'NONE'", STRICT),
        ("default-src 'none'; default-src 'none'", "csp-header-invalid"),
        ("default-src 'none'; report-uri /a; report-uri /b", "csp-implemented-but-duplicate-directives"),
        ("default-src 'self', default-src 'none'", STRICT),  # a comma begins another policy; nothing is in both
        (["default-src 'self'; script-src 'self'", "script-src 'self' https:"], SAFE),  # only what is in both
        (["default-src 'self'", "script-src https:"], SAFE),  # which of a directive of the second only is nothing
        ("defaults 'none'", INLINE),  # an unknown directive restricts nothing
        ("  ", "csp-header-invalid"),
        ("x", "csp-header-invalid"),
        ("", "csp-not-implemented"),
    ],
)
def test_content_security_policy(policy: str | list[str], expected: str) -> None:
    assert found(site({"Content-Security-Policy": policy}), "content-security-policy") == expected


def test_a_policy_that_only_reports_is_none() -> None:
    only = site({"Content-Security-Policy": "", "Content-Security-Policy-Report-Only": CSP})
    assert found(only, "content-security-policy") == "csp-not-implemented-but-reporting-enabled"


def test_a_policy_in_the_markup() -> None:
    meta = '<meta http-equiv="Content-Security-Policy" content="{}">'
    inside = site({"Content-Security-Policy": ""}, meta.format("default-src 'none'"))
    assert found(inside, "content-security-policy") == STRICT
    framing = site({"Content-Security-Policy": ""}, meta.format("frame-ancestors 'none'"))
    assert found(framing, "content-security-policy") == "csp-not-implemented"  # which markup cannot say
    picture = site({"Content-Security-Policy": "", "Content-Type": "image/svg+xml"}, meta.format("default-src 'none'"))
    assert found(picture, "content-security-policy") == "csp-not-implemented"


def test_http_may_load_over_http() -> None:
    plain = site({"Content-Security-Policy": "default-src 'none'; img-src http:"}, url="http://site.test/")
    assert found(plain, "content-security-policy") == STRICT


BEHIND = "-but-protected-by-hsts"


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        ("", "cookies-not-found"),
        ("heroku-session-affinity=1", "cookies-not-found"),
        ("a=1; Secure; SameSite=Strict", "cookies-secure-with-httponly-sessions-and-samesite"),
        ("a=1; Secure", "cookies-secure-with-httponly-sessions"),
        (["a=1; Secure; SameSite=Lax", "b=1; Secure"], "cookies-secure-with-httponly-sessions"),
        ("a=1; SameSite=Lax", f"cookies-without-secure-flag{BEHIND}"),
        ("session=1; HttpOnly; SameSite=Lax", f"cookies-session-without-secure-flag{BEHIND}"),
        ("a=1; Secure; SameSite=Whatever", "cookies-samesite-flag-invalid"),
        ("a=1; Secure; SameSite", "cookies-samesite-flag-invalid"),
        ("a=1; SameSite=None", "cookies-samesite-flag-invalid"),
        ("a=1; Secure; SameSite=None", "cookies-secure-with-httponly-sessions-and-samesite"),
        ("csrftoken=1; Secure", "cookies-anticsrf-without-samesite-flag"),
        ("PHPSESSID=1; Secure; SameSite=Lax", "cookies-session-without-httponly-flag"),
        (["a=1; SameSite=Lax", "login=1; Secure"], "cookies-session-without-httponly-flag"),  # the worst of them
    ],
)
def test_cookies(cookie: str | list[str], expected: str) -> None:
    assert found(site({"Set-Cookie": cookie}), "cookies") == expected


def test_cookies_without_hsts_and_of_another_answer() -> None:
    bare = {"Strict-Transport-Security": ""}
    assert found(site({**bare, "Set-Cookie": "a=1"}), "cookies") == "cookies-without-secure-flag"
    assert found(site({**bare, "Set-Cookie": "sess=1; HttpOnly"}), "cookies") == "cookies-session-without-secure-flag"
    robots = replace(site(), more_cookies=("a=1; SameSite=Lax",))
    assert found(robots, "cookies") == f"cookies-without-secure-flag{BEHIND}"


@pytest.mark.parametrize(
    ("allow", "credentials", "expected"),
    [
        ("", "", "not-implemented"),
        ("*", "", "implemented-with-public-access"),
        ("https://other.test", "", "implemented-with-restricted-access"),
        ("https://asks.test", "", "implemented-with-restricted-access"),
        ("https://asks.test", "true", "implemented-with-universal-access"),
        ("https://other.test", "true", "implemented-with-restricted-access"),
    ],
)
def test_cross_origin_resource_sharing(allow: str, credentials: str, expected: str) -> None:
    headers = (("Access-Control-Allow-Origin", allow), ("Access-Control-Allow-Credentials", credentials))
    asked = replace(site(), cross=Answer("https://site.test/", 204, headers), origin="https://asks.test")
    assert found(asked, "cross-origin-resource-sharing") == f"cross-origin-resource-sharing-{expected}"


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ((), "not-needed-no-http"),
        (("http://site.test/", "https://site.test/"), "to-https"),
        (("http://site.test/", "https://site.test/", "https://www.site.test/"), "to-https"),
        (("http://site.test/",), "missing"),
        (("http://site.test/", "http://site.test/home"), "not-to-https"),
        (
            ("http://site.test/", "http://www.site.test/", "https://www.site.test/"),
            "not-to-https-on-initial-redirection",
        ),
        (("http://site.test/", "https://www.site.test/"), "off-host-from-http"),
    ],
)
def test_redirection(route: tuple[str, ...], expected: str) -> None:
    assert found(replace(site(), route=route), "redirection") == f"redirection-{expected}"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "not-implemented"),
        ("no-referrer", "private"),
        ("SAME-ORIGIN", "private"),
        ("unsafe-url", "unsafe"),
        ("no-referrer-when-downgrade", "unsafe"),
        ("nonsense", "header-invalid"),
        ("no-referrer, unsafe-url", "unsafe"),  # the last one that is known
        ("unsafe-url, strict-origin, nonsense", "private"),
    ],
)
def test_referrer_policy(header: str, expected: str) -> None:
    assert found(site({"Referrer-Policy": header}), "referrer-policy") == f"referrer-policy-{expected}"


def test_referrer_policy_in_the_markup_comes_last() -> None:
    page = site(body='<meta name="referrer" content="unsafe-url">')
    assert found(page, "referrer-policy") == "referrer-policy-unsafe"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "not-implemented"),
        ("max-age=15552000", "implemented-max-age-at-least-six-months"),
        ("max-age=15551999", "implemented-max-age-less-than-six-months"),
        ("includeSubDomains", "header-invalid"),
        ("max-age=soon", "header-invalid"),
        (["max-age=63072000", "max-age=63072000"], "header-invalid"),  # sent twice
    ],
)
def test_strict_transport_security(header: str | list[str], expected: str) -> None:
    assert found(site({"Strict-Transport-Security": header}), "strict-transport-security") == f"hsts-{expected}"


def test_strict_transport_security_needs_https_and_a_certificate() -> None:
    assert found(site(url="http://site.test/"), "strict-transport-security") == "hsts-not-implemented-no-https"
    distrusted = replace(site(), trusted=False)
    assert found(distrusted, "strict-transport-security") == "hsts-invalid-cert"
    assert found(distrusted, "redirection") == "redirection-invalid-cert"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>no scripts", "not-implemented-but-no-scripts-loaded"),
        ("<script>1</script>", "not-implemented-but-all-scripts-loaded-from-secure-origin"),
        ('<script src="/a.js"></script>', "not-implemented-but-all-scripts-loaded-from-secure-origin"),
        ('<script src="/a.js" integrity="x"></script>', "implemented-and-all-scripts-loaded-securely"),
        (
            '<script src="https://www.site.test/a.js" integrity="x"></script>',
            "implemented-and-all-scripts-loaded-securely",
        ),
        (
            '<script src="https://cdn.net/a.js" integrity="x"></script>',
            "implemented-and-external-scripts-loaded-securely",
        ),
        ('<script src="https://cdn.net/a.js"></script>', "not-implemented-but-external-scripts-loaded-securely"),
        (
            '<script src="//cdn.net/a.js" integrity="x"></script>',
            "implemented-but-external-scripts-not-loaded-securely",
        ),
        ('<script src="//cdn.net/a.js"></script>', "not-implemented-and-external-scripts-not-loaded-securely"),
        (
            '<script src="/a.js" integrity="x"></script><script src="http://cdn.net/a.js"></script>',
            "not-implemented-and-external-scripts-not-loaded-securely",
        ),
    ],
)
def test_subresource_integrity(body: str, expected: str) -> None:
    assert found(site(body=body), "subresource-integrity") == f"sri-{expected}"


def test_subresource_integrity_is_of_pages() -> None:
    said = site({"Content-Type": "application/json"})
    assert found(said, "subresource-integrity") == "sri-not-implemented-response-not-html"


@pytest.mark.parametrize(
    ("header", "expected"),
    [("NoSniff", "nosniff"), ("", "not-implemented"), ("sniff", "header-invalid"), (["nosniff"] * 2, "header-invalid")],
)
def test_x_content_type_options(header: str | list[str], expected: str) -> None:
    said = site({"X-Content-Type-Options": header})
    assert found(said, "x-content-type-options") == f"x-content-type-options-{expected}"


@pytest.mark.parametrize(
    ("policy", "header", "expected"),
    [
        (CSP, "", "implemented-via-csp"),
        (CSP, "nonsense", "implemented-via-csp"),
        ("default-src 'none'", "SameOrigin", "sameorigin-or-deny"),
        ("default-src 'none'", "ALLOW-FROM https://a.test", "allow-from-origin"),
        ("default-src 'none'", "", "not-implemented"),
        ("default-src 'none'", ["DENY", "DENY"], "header-invalid"),
        ("x", "", "not-implemented"),
    ],
)
def test_x_frame_options(policy: str, header: str | list[str], expected: str) -> None:
    said = site({"Content-Security-Policy": policy, "X-Frame-Options": header})
    assert found(said, "x-frame-options") == f"x-frame-options-{expected}"


@pytest.mark.parametrize(
    ("name", "short", "value", "expected"),
    [
        ("Resource", "corp", "Same-Site", "implemented-with-same-site"),
        ("Resource", "corp", "cross-origin", "implemented-with-cross-origin"),
        ("Resource", "corp", "whimsy", "header-invalid"),
        ("Resource", "corp", ["same-origin"] * 2, "header-invalid"),
        ("Resource", "corp", "", "not-implemented"),
        ("Embedder", "coep", "credentialless", "implemented-with-credentialless"),
        ("Embedder", "coep", 'require-corp; report-to="coep-endpoint"', "implemented-with-require-corp"),
        ("Embedder", "coep", "require-corp; report-to=coep endpoint", "header-invalid"),
        ("Embedder", "coep", "unsafe-none", "implemented-with-unsafe-none"),
        ("Embedder", "coep", ["require-corp"] * 2, "header-invalid"),
        ("Embedder", "coep", "", "not-implemented"),
        ("Opener", "coop", "same-origin-allow-popups", "implemented-with-same-origin-allow-popups"),
        ("Opener", "coop", "noopener-allow-popups", "implemented-with-noopener-allow-popups"),
        ("Opener", "coop", "same-origin; report-to", "implemented-with-same-origin"),
        ("Opener", "coop", '"same-origin"', "header-invalid"),
        ("Opener", "coop", "Same-Origin", "header-invalid"),
        ("Opener", "coop", "unsafe-none", "implemented-with-unsafe-none"),
        ("Opener", "coop", "", "not-implemented"),
    ],
)
def test_cross_origin_policies(name: str, short: str, value: str | list[str], expected: str) -> None:
    said = site({f"Cross-Origin-{name}-Policy": value})
    assert found(said, f"cross-origin-{name.lower()}-policy") == f"{short}-{expected}"


def test_every_result_has_points() -> None:
    """A result without points would be a KeyError."""
    for name, test in TESTS:
        assert test(site()) in POINTS, name
