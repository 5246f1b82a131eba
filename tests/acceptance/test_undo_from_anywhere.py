"""What was approved a moment ago is undone from whatever page one has gone on to, by one key and Enter."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from approvals import policies
from approvals.models import Approval
from tests import console_fixtures as fixtures
from tests.acceptance.axe import SIZES, violations
from tests.acceptance.browsing import chromium, listens, view_files
from tests.acceptance.test_inbox_keys import inbox
from tests.acceptance.test_inbox_views import beside
from tests.web_process import web

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def address(tmp_path):
    with web(tmp_path) as address:
        yield address


def _approve(page, number: int) -> None:
    page.goto(re.sub(r"/inbox.*", f"/review/T-{number}/r1", page.url))
    view_files(page)
    page.get_by_role("button", name=re.compile("^Approve")).click()
    expect(page.locator("[data-key=z]")).to_have_count(1)  # the page's own


def _states() -> list[str]:
    return beside(lambda: sorted(Approval.objects.values_list("state", flat=True)))


def test_the_next_page_offers_it_by_the_same_key_and_later_it_is_gone(
    address, project, requester, lead
):
    policies.change(project, by=lead, undo_seconds=300)
    numbers = [fixtures.reviewed_task(project, requester).task.number for _ in range(2)]
    with chromium() as browser:
        page = inbox(browser, address)
        _approve(page, numbers[0])
        page.goto(f"{address}/inbox")
        listens(page)
        toast = page.locator("[data-toast]")
        expect(toast).to_contain_text(
            re.compile(rf"T-{numbers[0]} approved,\s+carried out in \d min")
        )
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            assert violations(page, name) == []
        page.set_viewport_size({"width": 1440, "height": 900})
        page.keyboard.press("j")
        page.keyboard.press("z")
        expect(toast.get_by_role("button")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{address}/review/T-{numbers[0]}/r1")
        expect(page.locator("main")).to_contain_text("Undone. Nothing was merged")
        assert _states() == ["pending", "pending", "withdrawn"]
        expect(toast).to_have_count(0)


def test_it_goes_when_its_time_is_over(address, project, requester, lead):
    policies.change(project, by=lead, undo_seconds=300)
    number = fixtures.reviewed_task(project, requester).task.number
    with chromium() as browser:
        page = inbox(browser, address)
        page.clock.install()
        _approve(page, number)
        page.goto(f"{address}/tasks")
        expect(page.locator("[data-toast]")).to_contain_text("carried out in")
        page.clock.fast_forward("05:00")
        expect(page.locator("[data-toast]")).to_have_count(0)
