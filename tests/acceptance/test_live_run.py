"""A whole run watched on a desktop and on a phone: nothing moves, little is loaded, all is readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.acceptance.axe import violations
from tests.acceptance.browsing import SLOW, Person, chromium, view_files
from tests.acceptance.live_house import WATCH
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs_chromium

REQUEST = "Fix the billing bug & update docs"
MOST_SHIFT = 0.02
MOST_SCRIPT = 60 * 1024
SCRIPTS = """() => performance.getEntriesByType("resource")
  .filter(each => new URL(each.name).pathname.endsWith(".js"))
  .map(each => each.encodedBodySize)"""
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env={"COUNTERSIGN_REHEARSAL_PACE_MS": "20"}) as stack:
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def beside(person: Person, size: dict[str, int], query: str = "") -> Page:
    """Open the page the person is on once more, in a window of another size, and watch it."""
    page = person.page.context.new_page()
    page.on("console", lambda said: said.type == "error" and person.complaints.append(said.text))
    page.set_viewport_size(size)
    page.add_init_script(WATCH)
    page.goto(person.page.url.partition("?")[0] + query)
    page.evaluate("window.neverReloaded = true")
    return page


def test_a_whole_run_moves_nothing_and_loads_little(stack, browser):
    requester, lead = Person(browser, stack, "requester"), Person(browser, stack, "lead")
    number = requester.hand_over(REQUEST)
    wide = {"width": 1440, "height": 900}
    pages = {
        "wide": beside(requester, wide),
        "phone": beside(requester, PHONE),
        "wide, all events": beside(requester, wide, "?tab=events"),
        "phone, list": beside(requester, PHONE, "?view=list&tab=events"),
    }
    for page in pages.values():
        expect(page.locator("#task-head")).to_contain_text("Waits for sign-off", timeout=SLOW)
    approve(lead, number)
    for page in pages.values():
        expect(page.locator("#outcome")).to_contain_text("Merged as", timeout=SLOW)
    for name, page in pages.items():
        assert page.evaluate("window.neverReloaded") is True
        shifts = page.evaluate("window.shifts")
        scripts = page.evaluate(SCRIPTS)
        moved = sum(each["value"] for each in shifts)
        print(f"\n{name}: CLS {moved:.4f}, {len(scripts)} scripts, {sum(scripts) / 1024:.1f} kB")
        print([each for each in shifts if each["value"] > 0.001])
        assert moved < MOST_SHIFT, shifts
        assert 0 < sum(scripts) <= MOST_SCRIPT
    found = [each for name, page in pages.items() for each in violations(page, name)]
    assert found == [], "\n".join(found)
    assert requester.complaints == []
    assert lead.complaints == []


def approve(lead: Person, number: int) -> None:
    page = lead.open(f"/review/T-{number}/r1")
    view_files(page)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
