"""axe-core on a page, wide and on a phone, in light and dark: what it finds, said shortly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.base import AXE_SCRIPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

THEMES = ("light", "dark")
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ALL = {"type": "tag", "values": _TAGS}
# A theme changes colours and nothing else: these are the rules that look at them.
_OF_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
_RULES = {"light": _ALL, "dark": _OF_COLOURS}
# What fades in is judged when it rests; what turns, turns for ever. Its state is asked, not its promise:
# Chromium keeps some of those open though the animation is over.
_RUN = """async (only) => {
  const passes = (each) =>
    each.playState === "running" && each.effect.getTiming().iterations !== Infinity;
  while (document.getAnimations().some(passes)) await new Promise((go) => setTimeout(go, 20));
  const found = await axe.run({ preload: false, resultTypes: ["violations"], runOnly: only });
  return found.violations;
}"""


def violations(page: Page, name: str, themes: Sequence[str] = THEMES) -> list[str]:
    """Return what axe-core holds against the page, in light and dark."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        found += [
            f"{name}, {theme}: {rule['id']}: {node['html'][:160]}: {node['failureSummary'][:300]}"
            for rule in page.evaluate(_RUN, _RULES[theme])
            for node in rule["nodes"]
        ]
    page.emulate_media(color_scheme="light")
    return found


def violations_of_sizes(page: Page, name: str) -> list[str]:
    """Return what it holds against a page that is open, wide and then as narrow as a phone."""
    found: list[str] = []
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        found += violations(page, f"{name}, {size}")
        seen = page.evaluate("document.documentElement.scrollWidth")
        if seen > width:
            found.append(f"{name}, {size}: {seen} px wide")
    return found
