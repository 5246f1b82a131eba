"""Every text on every ground it stands on is readable in both themes (WCAG 2.2 AA)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "static" / "css" / "tokens.css"
_PAIR = re.compile(
    r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}|oklch\([^)]+\)), (#[0-9a-f]{6}|oklch\([^)]+\))\);"
)

GROUNDS = ("canvas", "surface", "raised", "sunken", "hover")
STATES = ("ink", "run", "ok", "warn", "bad")
TEXT = [
    *((text, ground) for text in ("text", "text-2", "text-3") for ground in GROUNDS),
    *((state, ground) for state in STATES for ground in GROUNDS),
    *((state, f"{state}-soft") for state in STATES),
    *((text, f"{state}-soft") for text in ("text", "text-2", "text-3") for state in ("ink", "run")),
    *((text, f"{state}-soft") for text in ("text", "text-2") for state in ("ok", "warn", "bad")),
    ("ink", "warn-soft"),
    ("on-solid", "ink-solid"),
    ("on-solid", "ok-solid"),
    *((f"syn-{name}", ground) for name in "ksnfc" for ground in ("surface", "add-bg", "del-bg")),
    *(("text", ground) for ground in ("add-bg", "add-hi", "del-bg", "del-hi")),
    ("text-3", "add-bg"),
    ("text-3", "del-bg"),
]
AGENTS = ("a-router", "a-code", "a-test", "a-docs", "a-agg", "agent-6", "agent-7", "agent-8")
SHAPES = [
    *(("control", ground) for ground in ("canvas", "surface")),
    *(("on-agent", agent) for agent in AGENTS),
    *((agent, "surface") for agent in AGENTS),
    *((f"ch-{name}", "surface") for name in ("ok", "warn", "bad")),
    *((state, "canvas") for state in STATES),
]


def tokens() -> dict[str, tuple[str, str]]:
    found = _PAIR.findall(CSS.read_text(encoding="utf-8"))
    return {name: (light, dark) for name, light, dark in found}


def linear(colour: str) -> tuple[float, float, float]:
    if colour.startswith("#"):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        return tuple(p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    lightness, chroma, hue = (float(part) for part in colour[6:-1].split())
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return tuple(min(1.0, max(0.0, part)) for part in (red, green, blue))


def contrast(one: str, other: str) -> float:
    lights = sorted(
        (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other))),
        reverse=True,
    )
    return (lights[0] + 0.05) / (lights[1] + 0.05)


def too_faint(pairs: list[tuple[str, str]], least: float) -> list[str]:
    known = tokens()
    return [
        f"{front} on {back}, {theme}: {ratio:.2f}"
        for front, back in pairs
        for index, theme in enumerate(("light", "dark"))
        if (ratio := contrast(known[front][index], known[back][index])) < least
    ]


def test_text_has_a_contrast_of_at_least_4_5_in_both_themes():
    assert too_faint(TEXT, 4.5) == []


def test_controls_agents_and_charts_have_a_contrast_of_at_least_3():
    assert too_faint(SHAPES, 3.0) == []


@pytest.mark.parametrize(
    ("name", "light", "dark"), [("text", "#161921", "#ebedf0"), ("ink", "#3244c5", "#99a8fe")]
)
def test_the_tokens_are_those_of_the_specification(name, light, dark):
    for given, wanted in zip(tokens()[name], (light, dark), strict=True):
        assert linear(given) == pytest.approx(linear(wanted), abs=0.01)
