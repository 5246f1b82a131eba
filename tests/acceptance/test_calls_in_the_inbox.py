"""Calls of tools from the inbox to their end: found, put off, changed, allowed, refused, by keys alone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from playwright.sync_api import expect

from approvals.calls import carrying
from approvals.models import CallApproval
from tests.acceptance.axe import violations
from tests.acceptance.browsing import chromium, listens
from tests.acceptance.test_inbox_keys import inbox
from tests.call_fixtures import make_tool, park, working_step
from tests.tool_server import PayServer
from tests.web_process import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def server() -> Iterator[PayServer]:
    with PayServer() as started:
        yield started


@pytest.fixture
def three(server, project, requester, lead) -> list[CallApproval]:
    make_tool(server.url)
    return park(working_step(project, requester), "A-1", "A-2", "A-3")


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    with web(tmp_path) as address:
        yield address


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def _put_off_the_first(page: Page, row: CallApproval) -> None:
    press(page, "j")
    expect(page.locator("#peek")).to_contain_text('"invoice": "A-1"')
    press(page, "x")
    bar = page.get_by_role("region", name="Selected reviews")
    expect(bar).to_contain_text("Calls are decided one by one")
    press(page, "Escape")
    expect(bar).to_be_hidden()
    press(page, "h")
    page.get_by_role("button", name="For 4 hours").focus()
    press(page, "Enter")
    expect(page.get_by_role("status")).to_contain_text(["comes back in 4 h"])
    expect(page.locator(f"#row-{row.pk}")).to_have_count(0)


def _make() -> None:
    try:
        carrying.make_due("effects")
    finally:
        connection.close()


def _at(page: Page, row: CallApproval) -> None:
    expect(page).to_have_url(re.compile(f"/calls/{row.pk}"))
    listens(page)


def test_calls_are_put_off_changed_allowed_and_refused_by_keys_alone(three, server, address):
    one, two, three_ = three
    label = two.task.label
    with chromium() as browser:
        page = inbox(browser, address)
        found = violations(page, "inbox")
        _put_off_the_first(page, one)
        press(page, "j", "Enter")
        _at(page, two)
        found += violations(page, "call")
        press(page, "j")
        _at(page, three_)
        press(page, "k")
        _at(page, two)
        press(page, "?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_contain_text("Call of a tool")
        press(page, "Escape", "e")
        box = page.get_by_label("Arguments, as one JSON object")
        expect(box).to_be_focused()
        box.fill('{"invoice": "A-2", "cents": 5}')
        press(page, "Tab", "Enter")
        expect(page.get_by_label(f"Type {label} to allow: high risk")).to_be_focused()
        page.keyboard.type(label)
        press(page, "Enter")
        expect(page.get_by_text("Allowed once.")).to_be_visible()
        page.goto(f"{address}/calls/{three_.pk}")
        page.get_by_label("Reason, told to the agent").fill("Not this one.")
        press(page, "Escape", "r")
        expect(page.get_by_role("button", name="Refuse")).to_be_focused()
        press(page, "Enter")
        expect(page.get_by_text("Refused. Nothing is called")).to_be_visible()
        with ThreadPoolExecutor(1) as worker:  # the browser holds this thread's loop
            worker.submit(_make).result(60)
        page.goto(f"{address}/inbox?tab=decided&q=kind:call")
        expect(page.locator(f"#row-{two.pk}")).to_contain_text("Called")
        expect(page.locator(f"#row-{three_.pk}")).to_contain_text("Refused")
        press(page, "j")
        found += violations(page, "decided")
        page.goto(f"{address}/inbox?tab=snoozed")
        found += violations(page, "snoozed")
        press(page, "h", "Enter")
        expect(page.get_by_text("Nothing is put off.")).to_be_visible()  # still that tab
        page.goto(f"{address}/inbox")
        expect(page.locator(f"#row-{one.pk}")).to_be_visible()
    assert server.paid == {str(two.pk): 5}
    assert found == []


def test_no_key_acts_when_single_keys_are_switched_off(three, address, lead):
    lead.single_keys = False
    lead.save()
    with chromium() as browser:
        page = inbox(browser, address)
        page.goto(f"{address}/calls/{three[0].pk}")
        press(page, "a")
        expect(page.get_by_role("button", name="Allow once")).not_to_be_focused()
        press(page, "j")
        _at(page, three[0])


def test_on_a_phone_a_call_is_read_and_allowed(three, server, address):
    label = three[0].task.label
    with chromium() as browser:
        page = inbox(browser, address)
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{address}/inbox")
        found = violations(page, "inbox, phone")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator(f"#row-{three[0].pk} a").click()
        _at(page, three[0])
        found += violations(page, "call, phone")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label(f"Type {label} to allow: high risk").fill(label)
        page.get_by_role("button", name="Allow once").click()
        expect(page.get_by_text("Allowed once.")).to_be_visible()
    assert CallApproval.objects.get(pk=three[0].pk).state == "allowed"
    assert found == []
