"""Rate limits by address, and who is believed about addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable

from adaf_nginx.settings import Limits

ZONES = ("pages", "api", "auth")
SIZE = "4m"  # of a zone: some 30,000 addresses; the oldest give way


def zones(limits: Limits) -> str:
    """Lines for ``http {}``: which zone a request is of, whom it counts for, what each lets through."""
    auth = "|".join(re.escape(path.rstrip("/")) for path in limits.auth_paths)
    rows = ["map $uri $edge_place {", "    ~^/_next/static/ static;"]  # a page's chunks come in a burst
    rows += [f'    "~^(?:{auth})(?:/|$)" auth;'] if auth else []
    rows += ['    "~^/api(?:/|$)" api;', "    default pages;", "}"]
    # looking at a login page tries no password
    rows += ['map "$edge_place:$request_method" $edge_zone {', "    ~^auth:(?:GET|HEAD|OPTIONS)$ pages;"]
    rows += ['    "~^(?<edge_place_of>[a-z]+):" $edge_place_of;', "}"]
    rows += ["map $edge_zone $edge_retry {", f"    auth {_wait(limits.auth)};", "    default 1;", "}"]
    if limits.mode != "none":
        for zone in ZONES:
            rows += [
                f'map "$edge_probe:$edge_zone" $edge_{zone} {{',
                f"    0:{zone} $edge_address;",
                '    default "";',
                "}",
            ]
            rate = getattr(limits, zone).replace("/s", "r/s").replace("/min", "r/m")
            rows += [f"limit_req_zone $edge_{zone} zone={zone}:{SIZE} rate={rate};"]
        rows += ["map $edge_probe $edge_counted {", "    0 $edge_address;", '    default "";', "}"]
        rows += [f"limit_conn_zone $edge_counted zone=connections:{SIZE};"]
    return _indented(rows, 4)


def applied(limits: Limits) -> str:
    """Lines for the location of visitors."""
    if limits.mode == "none":
        return ""
    rows = [f"limit_req zone={zone}{_burst(getattr(limits, f'{zone}_burst'))};" for zone in ZONES]
    rows += [f"limit_conn connections {limits.connections};", "limit_req_status 429;", "limit_conn_status 429;"]
    rows += ["limit_req_log_level info;", "limit_conn_log_level info;"]  # at error the log would quote queries
    if limits.mode == "dry-run":
        rows += ["limit_req_dry_run on;", "limit_conn_dry_run on;"]
    return _indented(rows, 12)


def trust(trusted: Iterable[str]) -> str:
    """Lines for ``http {}``: whose word counts for a visitor's address, and for how they came."""
    rows = [
        "geo $realip_remote_addr $edge_trusted {",
        *(f"    {network} 1;" for network in trusted),
        "    default 0;",
        "}",
    ]
    rows += [f"set_real_ip_from {network};" for network in trusted]
    rows += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"] if trusted else []
    return _indented(rows, 4)


def _burst(number: int) -> str:
    return f" burst={number} nodelay" if number else ""  # nginx knows no burst of 0


def _wait(rate: str) -> int:
    """Whole seconds until one more may come."""
    number, _, span = rate.partition("/")
    return max(1, -(-{"s": 1, "min": 60}[span] // int(number)))


def _indented(rows: Iterable[str], width: int) -> str:
    return "".join(" " * width + row + "\n" for row in rows)
