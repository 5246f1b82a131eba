"""A view is saved and opened by its number; what comes meanwhile waits for a key."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from playwright.sync_api import expect

from approvals import sealing
from tests import console_fixtures as fixtures
from tests.acceptance.browsing import chromium, listens
from tests.acceptance.test_inbox_keys import inbox
from tests.approval_fixtures import make_report
from tests.web_process import web

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    with web(tmp_path) as address:
        yield address


def beside(act):
    """Write rows in a thread of its own: the browser's loop runs in this one."""

    def run():
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def test_a_view_is_saved_opened_by_its_number_deleted_and_taken_back(
    project, requester, lead, address
):
    sealing.seal(make_report(project, requester))
    fixtures.reviewed_task(project, requester)
    with chromium() as browser:
        page = inbox(browser, address)
        page.goto(f"{address}/inbox?q=risk:low")
        page.get_by_text("Save view").first.click()
        page.get_by_label("Name of this view").fill("Small ones")
        page.get_by_role("button", name="Save view").click()
        expect(page.get_by_role("status")).to_contain_text(["1 opens it."])
        page.goto(f"{address}/inbox")
        expect(page.locator("[data-row]")).to_have_count(2)
        listens(page)
        page.keyboard.press("1")
        expect(page).to_have_url(re.compile("view="))
        expect(page.locator("[data-row]")).to_have_count(1)
        page.locator("summary", has_text="Small ones").click()
        page.get_by_role("button", name="Delete this view").click()
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        listens(page)
        page.keyboard.press("z")
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Small ones 1")).to_be_visible()


def test_what_comes_waits_and_what_others_decide_is_marked(
    project, requester, lead, second_lead, address
):
    first = sealing.seal(make_report(project, requester))
    with chromium() as browser:
        page = inbox(browser, address)
        beside(lambda: sealing.seal(make_report(project, requester)))
        beside(
            lambda: first.move("withdrawn", decided_at=first.requested_at, decided_by=second_lead)
        )
        page.evaluate("document.dispatchEvent(new CustomEvent('countersign:ask'))")
        expect(page.locator("#inbox-news")).to_contain_text("1 new, press . to show")
        expect(page.locator(f"#due-{first.pk}")).to_contain_text("Withdrawn")
        expect(page.locator("[data-row]")).to_have_count(1)
        page.keyboard.press(".")
        expect(page.locator("[data-row]")).to_have_count(1)
        expect(page.locator(f"#due-{first.pk}")).to_have_count(0)
