"""axe-core on a page in both themes: what it finds, said shortly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

THEMES = ("light", "dark")
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_OPTIONS = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": _TAGS}}
# What fades in is judged when it rests; what turns, turns for ever.
_RESTS = """async () => {
  const passing = document.getAnimations().filter(
    (each) => each.effect.getTiming().iterations !== Infinity);
  await Promise.allSettled(passing.map((each) => each.finished));
}"""


def violations(page: Page, name: str) -> list[str]:
    """Return what axe-core holds against the page, in light and dark."""
    found: list[str] = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        page.evaluate(_RESTS)
        answer = Axe().run(page, options=_OPTIONS).response
        found += [
            f"{name}, {theme}: {rule['id']}: {node['html'][:160]}: {node['failureSummary'][:300]}"
            for rule in answer["violations"]
            for node in rule["nodes"]
        ]
    page.emulate_media(color_scheme="light")
    return found
