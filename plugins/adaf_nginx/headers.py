"""Security headers: what the edge says where the application says nothing, each once.

Values as the Mozilla HTTP Observatory scores them best (tests/observatory); its policy for scripts is the application's
own, since only it can make a nonce. HSTS is for visitors who came by https, and asks for no preload list: that is a
promise for years, which an owner makes.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaf_nginx.pages import STYLE_HASH

DEFAULTS: Mapping[str, str] = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "credentialless",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Permitted-Cross-Domain-Policies": "none",
}
HSTS = "Strict-Transport-Security"
# of nginx's own pages, which run nothing
OWN_POLICY = (
    f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def values(other: Mapping[str, str]) -> dict[str, str]:
    """What is said, by name: the defaults, and what the settings say instead, in whatever case; "" is left out."""
    said = {name.lower(): value for name, value in other.items()}
    found = {name: said.pop(name.lower(), value) for name, value in DEFAULTS.items()}
    found |= {name: other[name] for name in other if name.lower() in said}
    return {name: value for name, value in found.items() if value}


def _variable(name: str) -> str:
    return "$edge_h_" + name.lower().replace("-", "_")


def maps(found: Mapping[str, str]) -> str:
    """``map`` blocks for ``http {}``: a header's value, the application's own if it has one."""
    lines = []
    for name, value in found.items():
        theirs = "$upstream_http_" + name.lower().replace("-", "_")
        if name == HSTS:  # by http it means nothing, and must not be sent (RFC 6797, 7.2)
            lines += [f'    map "$edge_scheme:{theirs}" {_variable(name)} {{', f'        "https:" "{value}";']
            lines += ['        "~^https:(?<edge_hsts>.+)$" $edge_hsts;', '        default "";', "    }"]
        else:
            lines += [
                f"    map {theirs} {_variable(name)} {{",
                f'        "" "{value}";',
                f"        default {theirs};",
                "    }",
            ]
    return "\n".join(lines) + "\n"


def added(found: Mapping[str, str], indent: int = 8) -> str:
    """``add_header`` lines. A location that has one of its own inherits none: every such location needs all of them."""
    rows = [f"add_header {name} {_variable(name)} always;" for name in found]
    rows += ["add_header Content-Security-Policy $edge_own_policy always;", "add_header X-Request-Id $edge_id always;"]
    return "".join(" " * indent + row + "\n" for row in rows)


def hidden(found: Mapping[str, str], indent: int = 12) -> str:
    """``proxy_hide_header`` lines: what the application said of these comes back as ours."""
    names = [*found, "X-Powered-By", "X-Request-Id"]
    names += [] if HSTS in found else [HSTS]
    return "".join(" " * indent + f"proxy_hide_header {name};\n" for name in names)
