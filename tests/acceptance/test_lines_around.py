"""The lines around a hunk, by the keyboard: they come into their place, and nothing is said on them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from approvals import sealing
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.live_house import signed_in
from tests.approval_fixtures import edits, make_change, make_repository

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


def sealed(project, requester, folder):
    make_repository(folder, project)
    return sealing.seal(make_change(project, requester, folder, texts=edits(line_12="twelve")))


@pytest.mark.parametrize("width", [1440, 390])
def test_lines_come_into_their_place_and_are_no_part_of_the_change(
    house, browser, project, requester, lead, tmp_path, width
):
    approval = house.write(sealed, project, requester, tmp_path)
    context = signed_in(house, browser, lead, viewport={"width": width, "height": 900})
    page = context.new_page()
    failed = []
    page.on("pageerror", lambda error: failed.append(error))
    page.goto(f"/review/{approval.task.label}/r1")
    above = page.get_by_role("link", name="Show 8 lines above")
    above.focus()
    page.keyboard.press("Enter")
    shown = page.get_by_role("table", name="Unchanged lines 1 to 8")
    expect(shown.get_by_text("line 8", exact=True).last).to_be_visible()
    expect(shown).to_be_focused()
    below = page.get_by_role("link", name="Show lines below")
    below.click()
    expect(page.get_by_role("table", name="Unchanged lines 16 to 40")).to_be_visible()
    expect(page.get_by_role("link", name="lines below")).to_have_count(0)
    shown.locator(".diff-new").first.click(position={"x": 10, "y": 10})
    expect(page.locator("[data-line-say]")).to_have_count(0)
    assert violations(page, f"lines around a hunk at {width}") == []
    page.locator("[data-change]").focus()
    page.keyboard.press("c")
    expect(page.locator("[data-line-say]")).to_have_count(1)
    assert failed == []
    context.close()
