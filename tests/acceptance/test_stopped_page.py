"""The button of a stopped task takes a person to the choices, and nothing else moves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from agents.models import Escalation
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.browsing import listens
from tests.acceptance.live_house import House, signed_in

browser = page_fixtures.browser

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]
SETTLED = """() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
})"""  # what moved before is told by then
LONG = "\n".join(f"Line {n} of what was tried." for n in range(60))


@pytest.mark.parametrize("by", ["mouse", "key"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_the_button_leads_to_the_choices(
    browser, tmp_path, settings, project, requester, lead, size, by
):
    with House(tmp_path, settings) as house:
        made = house.write(fixtures.stopped_task, project, requester)
        house.write(Escalation.objects.update, detail=LONG)
        width, height = size
        viewport = {"width": width, "height": height}
        with signed_in(house, browser, lead, viewport=viewport) as context:
            page = context.new_page()
            page.goto(f"/tasks/{made.task.label}")
            first = page.locator(".answer input[type=radio]").first
            expect(first).not_to_be_in_viewport()
            listens(page)
            page.evaluate(SETTLED)
            page.evaluate("window.shifts = []")
            if by == "mouse":
                page.get_by_text("Decide how to go on").click()
            else:
                page.locator("#asked > summary").press("Enter")
            expect(first).to_be_in_viewport()
            expect(first).to_be_focused()
            assert page.locator("#asked").get_attribute("open") is not None
            assert page.evaluate("window.shifts") == []
