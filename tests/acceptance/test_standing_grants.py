"""A tech lead allows a call and remembers it, in a browser with and without scripts, and revokes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from approvals.models import CallApproval, StandingGrant
from tests.acceptance.axe import violations
from tests.acceptance.browsing import chromium
from tests.acceptance.test_inbox_views import beside
from tests.call_fixtures import make_tool, park, working_step
from tests.standing_fixtures import asks, let_any
from tests.web_process import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    with web(tmp_path) as address:
        yield address


@pytest.fixture
def waiting(project, requester, lead) -> CallApproval:
    make_tool()
    let_any(project, lead)
    return park(working_step(project, requester), "I-1")[0]


def _sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-in")
    page.fill("#username", "dana")
    page.fill("#password", "correct horse")
    page.click("button")
    expect(page).not_to_have_url(re.compile("sign-in"))


@pytest.mark.parametrize("scripts", [True, False])
def test_it_is_shown_agreed_to_used_and_revoked(address, waiting, project, requester, scripts):
    label = waiting.task.label
    with chromium() as browser:
        page = browser.new_context(java_script_enabled=scripts).new_page()
        _sign_in(page, address)
        page.goto(f"{address}/calls/{waiting.pk}")
        page.locator("summary", has_text="Allow and remember").click()
        page.get_by_label("How invoice may differ").select_option("Begins with")
        field = page.get_by_label("What invoice begins with, or the pattern it fits")
        field.fill("I-")
        field.press("Enter")  # shows it, and allows nothing
        told = page.locator("#remember-told")
        expect(told).to_contain_text("invoice begins with I-")
        page.get_by_label("At most, times").fill("3")
        page.get_by_role("button", name="Allow and remember").click()
        expect(told).to_contain_text("at most 3 times")
        assert beside(lambda: CallApproval.objects.get(pk=waiting.pk).state) == "pending"
        if scripts:
            assert violations(page, "remember") == []
        page.get_by_label(f"Type {label} to allow and remember").fill(label)
        page.get_by_role("button", name="Allow and remember").click()
        expect(page.get_by_role("link", name="remembered as a standing grant")).to_be_visible()
        (used,) = beside(lambda: asks(project, requester, "I-2"))
        assert used.state == "allowed"
        page.goto(f"{address}/standing-grants")
        expect(page.locator(".grant-row")).to_contain_text("1 of 3")
        if scripts:
            assert violations(page, "standing grants") == []
        page.get_by_role("button", name="Revoke pay at pay").click()
        expect(page.get_by_text("Nothing goes through beforehand.")).to_be_visible()
        assert beside(lambda: StandingGrant.objects.get().revoked_at)


def test_one_key_leads_to_what_would_be_remembered_and_enter_agrees_to_it(address, waiting):
    label = waiting.task.label
    with chromium() as browser:
        page = browser.new_page()
        _sign_in(page, address)
        page.goto(f"{address}/inbox")
        page.keyboard.press("j")
        expect(page.locator(f"#row-{waiting.pk} [data-row]")).to_be_focused()
        page.keyboard.press("m")
        expect(page).to_have_url(re.compile(f"/calls/{waiting.pk}#remember-first"))
        first = page.get_by_label("How cents may differ")
        expect(first).to_be_focused()
        page.goto(f"{address}/calls/{waiting.pk}")
        expect(first).to_be_hidden()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_contain_text("Allow and remember")
        page.keyboard.press("Escape")
        page.keyboard.press("m")
        expect(first).to_be_focused()
        assert violations(page, "remember, by its key") == []
        assert beside(lambda: CallApproval.objects.get(pk=waiting.pk).state) == "pending"
        page.get_by_role("button", name="Allow and remember").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label(f"Type {label} to allow and remember")).to_be_focused()
        page.keyboard.type(label)
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="remembered as a standing grant")).to_be_visible()
