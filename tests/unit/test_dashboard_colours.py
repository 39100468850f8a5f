"""The dashboard's colours can be told apart, in light and in dark, and its pages stay fit for a strict CSP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "examples" / "dashboard"
TEXT, SHAPE = 4.5, 3.0  # WCAG 2.2, levels AA of 1.4.3 and 1.4.11
PAIRS = [
    *((ink, ground, TEXT) for ink in ("text", "muted", "accent") for ground in ("page", "panel")),
    *(("text", ground, TEXT) for ground in ("good", "warn", "bad")),
    ("on-accent", "accent", TEXT),
    *((line, "panel", SHAPE) for line in ("harbour", "meadow", "summit", "control", "accent")),
    *((line, "page", SHAPE) for line in ("control", "accent")),
]


def schemes() -> dict[str, dict[str, str]]:
    css = (APP / "app" / "globals.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): #(\w{6});", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)
    )
    assert set(light) == set(dark)
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
def test_contrast(scheme: str, ink: str, ground: str, least: float) -> None:
    colours = schemes()[scheme]
    high, low = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= least


def test_no_page_needs_inline_styles_or_another_host() -> None:
    sources = [
        file for kind in ("app", "components") for file in (APP / kind).rglob("*.*") if file.suffix in (".tsx", ".css")
    ]
    assert len(sources) > 8
    for file in sources:
        text = file.read_text()
        assert not re.search(r"style=|dangerouslySetInnerHTML|<script|@import|url\(|https?://", text), file.name


def test_nothing_waits_above_what_may_throw() -> None:
    """Below a loading.tsx a page that throws is sent with status 200, and a canary would not see it."""
    assert not list((APP / "app").rglob("loading.*"))
