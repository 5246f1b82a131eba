"""Several reviews are selected, approved and taken back by keys alone; on a phone by boxes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from approvals import policies, sealing
from approvals.models import Approval, Signature
from tests.acceptance.browsing import chromium, listens
from tests.acceptance.test_inbox_keys import inbox
from tests.approval_fixtures import make_change, make_report, make_repository
from tests.web_process import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def three(tmp_path, project, requester, lead, settings) -> list[Approval]:
    settings.DATA_DIR = tmp_path / "data"
    make_repository(tmp_path, project)
    policies.change(project, by=lead, money_paths=[], undo_seconds=120)
    return [sealing.seal(make_change(project, requester, tmp_path)) for _ in range(3)]


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    with web(tmp_path) as address:
        yield address


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_three_are_approved_and_taken_back_by_keys_alone(three, address):
    with chromium() as browser:
        page = inbox(browser, address)
        bar = page.get_by_role("region", name="Selected reviews")
        expect(bar).to_be_hidden()
        press(page, "x", "Shift+J", "Shift+J")
        expect(bar).to_contain_text("3 selected all low risk, reversible, all checks green")
        press(page, "Escape")
        expect(bar).to_be_hidden()
        press(page, "x", "Shift+K", "Shift+K", "a")
        expect(page.get_by_role("link", name="Approve 3")).to_be_focused()
        press(page, "Enter")
        expect(page.get_by_role("heading", name="Approve 3 together")).to_be_visible()
        listens(page)
        press(page, "a")
        expect(page.get_by_role("button", name="Approve 3")).to_be_focused()
        press(page, "Enter")
        expect(page.get_by_role("heading", name="3 of 3 approved")).to_be_visible()
        listens(page)
        press(page, "z")
        expect(page.get_by_role("button", name="Undo all 3")).to_be_focused()
        press(page, "Enter")
        expect(page.get_by_role("status")).to_contain_text(["3 undone."])
    assert Approval.objects.filter(state="pending").count() == Signature.objects.count() == 3


def test_a_takes_one_to_its_button_and_opens_what_is_not_low_risk(
    three, project, requester, tmp_path, address, lead
):
    policies.change(project, by=lead, money_paths=["billing/**"])
    medium = sealing.seal(make_change(project, requester, tmp_path))
    with chromium() as browser:
        page = inbox(browser, address)
        press(page, "a")
        expect(page.get_by_role("link", name="Approve 1")).to_be_focused()
        press(page, "Escape")
        page.locator(f"#row-{medium.pk} a").focus()
        press(page, "a")
        expect(page).to_have_url(f"{address}/review/{medium.task.label}/r1")
        page.go_back()
        listens(page)
        page.locator(f"#row-{medium.pk} a").focus()
        press(page, "r")
        expect(page).to_have_url(f"{address}/review/{medium.task.label}/r1#decision-note")
    assert not Signature.objects.exists()


def test_a_filter_is_typed_and_cleared_by_keys(three, project, requester, address):
    report = sealing.seal(make_report(project, requester))
    with chromium() as browser:
        page = inbox(browser, address)
        press(page, "f")
        page.keyboard.type("agent:coder xylophone")
        press(page, "Enter")
        expect(page.get_by_role("alert")).to_contain_text(["“xylophone” is no filter"])
        listens(page)
        press(page, "f")
        press(page, "Control+A")
        page.keyboard.type("risk:low repo:acme-billing due:>1h")
        press(page, "Enter")
        expect(page.locator("[data-row]")).to_have_count(4)
        page.get_by_role("link", name="Newest first").click()
        expect(page).to_have_url(re.compile("sort=newest"))
        expect(page.locator("[data-row] .row-title").first).to_have_text("Where rounding happens")
        expect(page.get_by_label("Filter")).to_have_value("risk:low repo:acme-billing due:>1h")
        listens(page)
        press(page, "x")  # the newest is a report
        expect(page.locator("#bulk-bar")).to_contain_text(
            f"{report.task.label} is a report, which is decided by itself."
        )


def test_single_keys_switched_off_do_nothing(three, lead, address):
    type(lead).objects.filter(pk=lead.pk).update(single_keys=False)
    with chromium() as browser:
        page = inbox(browser, address)
        press(page, "x", "Shift+J", "a", "f", " ")
        expect(page.locator("#bulk-bar")).to_be_hidden()
        expect(page.locator("input[name=pick]:checked")).to_have_count(0)
        expect(page.locator("#peek")).to_be_visible()


def test_space_puts_the_look_away_and_the_page_remembers(three, address):
    with chromium() as browser:
        page = inbox(browser, address)
        expect(page.locator("#peek")).to_be_visible()
        press(page, " ")
        expect(page.locator("#peek")).to_be_hidden()
        page.reload()
        expect(page.locator("#peek")).to_be_hidden()
        press(page, " ")
        expect(page.locator("#peek")).to_be_visible()


def test_on_a_phone_boxes_select_and_the_bar_stays_above_the_menu(three, address):
    with chromium() as browser:
        page = inbox(browser, address, width=390)
        for box in page.get_by_role("checkbox").all()[:2]:
            box.check()
        approve = page.get_by_role("link", name="Approve 2")
        expect(approve).to_be_visible()
        menu, button = page.locator("#bottom-bar").bounding_box(), approve.bounding_box()
        assert menu
        assert button
        assert button["y"] + button["height"] <= menu["y"]
        assert button["height"] >= 44
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        approve.click()
        page.get_by_role("button", name="Approve 2").click()
        expect(page.get_by_role("heading", name="2 of 2 approved")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_boxes_and_a_button_do_the_same(three, address):
    with chromium() as browser:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{address}/sign-in")
        page.fill("#username", "dana")
        page.fill("#password", "correct horse")
        page.click("button")
        page.goto(f"{address}/inbox?q=risk:low")
        for box in page.get_by_role("checkbox").all():
            box.check()
        page.get_by_role("button", name="Review what is selected").click()
        page.get_by_role("button", name="Approve 3").click()
        expect(page.get_by_role("heading", name="3 of 3 approved")).to_be_visible()
        page.get_by_role("button", name="Undo all 3").click()
        expect(page.get_by_role("status").first).to_contain_text("3 undone.")
