"""A tech lead allows a call, sees it count down, undoes it by a key, and allows it again: called once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from agents import holds
from approvals import policies
from approvals.calls import carrying
from approvals.models import CallApproval
from tests.acceptance.axe import violations
from tests.acceptance.browsing import chromium, listens
from tests.acceptance.test_inbox_keys import Answers, inbox
from tests.acceptance.test_inbox_views import beside
from tests.call_fixtures import decided, make_tool, park, working_step
from tests.tool_server import PayServer
from tests.web_process import web
from tests.worker_fixtures import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

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


def _allow(page: Page, label: str) -> None:
    page.get_by_label(f"Type {label} to allow: high risk").fill(label)
    page.get_by_role("button", name="Allow once").click()


def _states() -> list[str]:
    return beside(lambda: list(CallApproval.objects.order_by("id").values_list("state", flat=True)))


def test_it_is_allowed_undone_allowed_again_and_called_once(
    address, waiting, server, project, lead
):
    label = waiting.task.label
    with chromium() as browser:
        page = browser.new_page()
        _sign_in(page, address)
        page.goto(f"{address}/calls/{waiting.pk}")
        expect(page.locator("main")).to_contain_text("It is called 300 s after the last permission")
        _allow(page, label)
        expect(
            page.get_by_text("It is called in 300 s; until then you can undo it.")
        ).to_be_visible()
        expect(page.locator("#call-state")).to_contain_text(re.compile(r"called in \d min \d+ s"))
        assert beside(lambda: carrying.make_due("effects")) == 0
        assert violations(page, "a call that can be undone") == []
        beside(lambda: policies.change(project, by=lead, call_undo_seconds=2))
        listens(page)
        page.keyboard.press("z")
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
        page.keyboard.press("Enter")
        expect(
            page.get_by_text("Undone. Nothing was called; it waits for permission")
        ).to_be_visible()
        expect(page.get_by_text("It was allowed before, and that was undone")).to_be_visible()
        assert _states() == ["withdrawn", "pending"]
        _allow(page, label)
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
    label = waiting.task.label
    with chromium() as browser:
        page = browser.new_context(java_script_enabled=False).new_page()
        _sign_in(page, address)
        page.goto(f"{address}/calls/{waiting.pk}")
        _allow(page, label)
        page.goto(
            f"{address}/inbox?tab=with-agents" if where == "inbox" else f"{address}/tasks/{label}"
        )
        page.get_by_role("button", name="Undo").first.click()
        expect(
            page.get_by_text("Undone. Nothing was called; it waits for permission")
        ).to_be_visible()
        assert _states() == ["withdrawn", "pending"]


@pytest.fixture
def allowed(server, project, requester, lead) -> list[CallApproval]:
    """Three calls of one step that are allowed and can be undone."""
    make_tool(server.url)
    policies.change(project, by=lead, call_undo_seconds=300)
    rows = park(working_step(project, requester), "I-1", "I-2", "I-3")
    return [decided(row, lead) for row in rows]


def _undo_of(page: Page, row: CallApproval, within: str) -> Locator:
    return page.locator(f'{within} form[action="/calls/{row.pk}/undo"] button')


def test_z_undoes_the_call_of_the_row_that_has_the_focus(address, allowed):
    listed = "/inbox?tab=with-agents"
    with chromium() as browser:
        page = inbox(browser, address)
        page.goto(f"{address}{listed}")
        listens(page)
        answers = Answers()
        page.route(re.compile(r"/inbox\?.*at="), answers.hold)
        for _ in range(3):
            with page.expect_request(re.compile("at=")):
                page.keyboard.press("j")
        row = page.evaluate("document.activeElement.closest('li').id.slice(4)")
        (third,) = (each for each in allowed if str(each.pk) == row)
        page.keyboard.press("z")
        expect(page.locator("[data-row]:focus")).to_have_count(1)  # not of the one that is shown
        answers.let_come()
        expect(_undo_of(page, third, "#peek")).to_be_focused()
        page.set_viewport_size({"width": 1000, "height": 900})
        page.goto(f"{address}{listed}")
        listens(page)
        page.keyboard.press("j")
        row = page.evaluate("document.activeElement.closest('li').id.slice(4)")
        (first,) = (each for each in allowed if str(each.pk) == row)
        page.keyboard.press("z")
        expect(_undo_of(page, first, f"#row-{first.pk}")).to_be_focused()
        page.goto(f"{address}/tasks/{beside(lambda: first.task.label)}")
        listens(page)
        page.keyboard.press("z")
        expect(page.get_by_role("button", name="Undo").first).to_be_focused()


def test_a_pause_stops_the_countdown_of_an_open_page(address, allowed, lead):
    row = allowed[0]
    with chromium() as browser:
        page = browser.new_page()
        _sign_in(page, address)
        page.goto(f"{address}/calls/{row.pk}")
        listens(page)
        state, button = page.locator("#call-state"), page.get_by_role("button", name="Undo")
        expect(button).to_contain_text(re.compile(r"called in \d min \d+ s"))
        beside(lambda: holds.place(by=lead, task=row.task))
        expect(state).to_contain_text("called after the task is resumed")
        expect(button).to_contain_text("while it is held")
        expect(page.get_by_text("This page shows what was here")).to_have_count(0)
        beside(lambda: holds.resume(row.task, by=lead))
        expect(state).to_contain_text(re.compile(r"called in \d min \d+ s"))
        expect(button).to_contain_text(re.compile(r"called in \d min \d+ s"))
