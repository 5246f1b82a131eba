"""A tech lead allows a call, sees it count down, undoes it by a key, and allows it again: called once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from approvals import policies
from approvals.calls import carrying
from approvals.models import CallApproval
from tests.acceptance.axe import violations
from tests.acceptance.browsing import chromium
from tests.acceptance.test_inbox_views import beside
from tests.call_fixtures import make_tool, park, working_step
from tests.tool_server import PayServer
from tests.web_process import web
from tests.worker_fixtures import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    with web(tmp_path) as address:
        yield address


@pytest.fixture
def server() -> Iterator[PayServer]:
    with PayServer() as started:
        yield started


@pytest.fixture
def waiting(server, project, requester, lead) -> CallApproval:
    make_tool(server.url)
    policies.change(project, by=lead, call_undo_seconds=300)
    return park(working_step(project, requester), "I-1")[0]


def _sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-in")
    page.fill("#username", "dana")
    page.fill("#password", "correct horse")
    page.click("button")
    expect(page).not_to_have_url(re.compile("sign-in"))


def _listening(page: Page) -> None:
    expect(page.locator("[data-connection=live]").first).to_be_attached()


def _states() -> list[str]:
    return beside(lambda: list(CallApproval.objects.order_by("id").values_list("state", flat=True)))


def test_it_is_allowed_undone_allowed_again_and_called_once(
    address, waiting, server, project, lead
):
    with chromium() as browser:
        page = browser.new_page()
        _sign_in(page, address)
        page.goto(f"{address}/calls/{waiting.pk}")
        expect(page.locator("main")).to_contain_text("It is called 300 s after the last permission")
        page.get_by_role("button", name="Allow once").click()
        expect(
            page.get_by_text("It is called in 300 s; until then you can undo it.")
        ).to_be_visible()
        expect(page.locator("#call-state")).to_contain_text(re.compile(r"called in \d min \d+ s"))
        assert beside(lambda: carrying.make_due("effects")) == 0
        assert violations(page, "a call that can be undone") == []
        beside(lambda: policies.change(project, by=lead, call_undo_seconds=2))
        _listening(page)
        page.keyboard.press("z")
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
        page.keyboard.press("Enter")
        expect(
            page.get_by_text("Undone. Nothing was called; it waits for permission")
        ).to_be_visible()
        expect(page.get_by_text("It was allowed before, and that was undone")).to_be_visible()
        assert _states() == ["withdrawn", "pending"]
        page.get_by_role("button", name="Allow once").click()
        expect(page.get_by_text("It is called in 2 s")).to_be_visible()
        until(lambda: beside(lambda: carrying.make_due("effects")) == 1, seconds=20)
        assert _states() == ["withdrawn", "done"]
        assert len(server.calls) == 1
        page.reload()
        expect(page.get_by_text("Paid I-1.")).to_be_visible()
        page.get_by_role("link", name="Show").click()
        expect(page.locator("#call-decide")).to_contain_text("Dana Kim undid the permission.")
        expect(page.locator("#call-decide")).not_to_contain_text("Paid I-1.")


@pytest.mark.parametrize("where", ["inbox", "task"])
def test_it_is_undone_where_it_is_shown_without_scripts(address, waiting, where):
    with chromium() as browser:
        page = browser.new_context(java_script_enabled=False).new_page()
        _sign_in(page, address)
        page.goto(f"{address}/calls/{waiting.pk}")
        page.get_by_role("button", name="Allow once").click()
        label = beside(lambda: CallApproval.objects.select_related("task").get().task.label)
        page.goto(
            f"{address}/inbox?tab=with-agents" if where == "inbox" else f"{address}/tasks/{label}"
        )
        page.get_by_role("button", name="Undo").first.click()
        expect(
            page.get_by_text("Undone. Nothing was called; it waits for permission")
        ).to_be_visible()
        assert _states() == ["withdrawn", "pending"]
