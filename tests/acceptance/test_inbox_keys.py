"""Keys in the inbox act on the row that has the focus, or is shown beside the list, and on nothing else."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from playwright.sync_api import Error, expect

from approvals import policies, sealing
from tests import console_fixtures as fixtures
from tests.acceptance.axe import violations
from tests.acceptance.browsing import LONGEST, chromium, listens
from tests.approval_fixtures import make_report
from tests.reviewing import decide
from tests.web_process import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def waiting(project, requester, lead) -> tuple[int, int]:
    """Return the numbers of two tasks that wait for a signature, the first due first."""
    fixtures.stopped_task(project, requester)
    first, second = (fixtures.reviewed_task(project, requester).task.number for _ in range(2))
    return first, second


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    with web(tmp_path) as address:
        yield address


def inbox(browser: Browser, address: str, width: int = 1440) -> Page:
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    page.set_default_timeout(LONGEST * 1_000)
    page.goto(f"{address}/sign-in")
    page.fill("#username", "dana")
    page.fill("#password", "correct horse")
    page.click("button")
    expect(page).not_to_have_url(re.compile("sign-in"))
    page.goto(f"{address}/inbox")
    listens(page)
    return page


def test_enter_and_o_open_the_row_that_is_shown(waiting, address):
    with chromium() as browser:
        page = inbox(browser, address)
        shown = page.locator(".peek-acts a").first.get_attribute("href")
        assert shown == f"/review/T-{waiting[0]}/r1"
        for key in ("Enter", "o"):
            assert page.evaluate("document.activeElement === document.body")
            page.keyboard.press(key)
            expect(page).to_have_url(address + shown)
            page.goto(f"{address}/inbox")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")  # on the second row, which has the focus
        expect(page).to_have_url(f"{address}/review/T-{waiting[1]}/r1")


def test_enter_on_a_control_is_left_to_the_control(waiting, address):
    with chromium() as browser:
        page = inbox(browser, address)
        page.get_by_role("button", name="Shortcuts").focus()
        page.keyboard.press("Enter")
        keys = page.locator("#keys-help")
        expect(keys).to_be_visible()
        expect(keys).to_contain_text(re.compile(r"Open\s+Enter or o\s+Show what is new\s+\."))
        expect(page).to_have_url(re.compile("/inbox"))


def test_where_nothing_is_shown_beside_the_list_enter_opens_nothing(waiting, address):
    with chromium() as browser:
        page = inbox(browser, address, width=900)
        expect(page.locator("#peek")).to_be_hidden()
        page.keyboard.press("Enter")
        page.keyboard.press("j")  # heard after Enter: the page is still the inbox
        expect(page.locator("[data-row]:focus")).to_have_count(1)
        expect(page).to_have_url(re.compile("/inbox"))


def test_a_review_is_put_off_and_woken_by_keys(waiting, address):
    with chromium() as browser:
        page = inbox(browser, address)
        page.keyboard.press("h")
        expect(page.get_by_role("button", name="For 1 hour")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="For 1 hour")).to_be_hidden()
        page.keyboard.press("h")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text([f"T-{waiting[0]} comes back in 1 h."])
        expect(page.locator(".peek-acts a").first).to_have_attribute(
            "href", f"/review/T-{waiting[1]}/r1"
        )
        page.get_by_role("link", name="Snoozed 1").click()
        expect(page.locator("[data-row]")).to_have_count(1)
        listens(page)
        page.keyboard.press("h")
        expect(page.get_by_role("button", name="Wake now")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Nothing is put off.")).to_be_visible()  # still that tab
        page.get_by_role("link", name="Needs you").click()
        expect(page.locator("[data-peek-url]")).to_have_count(2)
        expect(page.get_by_role("link", name="Snoozed", exact=True)).to_be_visible()


class Answers:
    """Answers of the server that are held back until they are let come."""

    def __init__(self) -> None:
        self.held: list[Route] = []
        self.come = False

    def hold(self, route: Route) -> None:
        self.held.append(route)
        if self.come:
            self.let_come()

    def let_come(self) -> None:
        self.come = True
        while self.held:
            with suppress(Error):  # the page may not want it any more
                self.held.pop().continue_()


def another(project, requester) -> int:
    """Put one more up while a browser holds this thread's loop."""

    def make() -> int:
        try:
            return fixtures.reviewed_task(project, requester).task.number
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as worker:
        return worker.submit(make).result(60)


FOCUS_AFTER_NEWS = """() => new Promise((done) => {
  const said = () => done(Boolean(document.activeElement.closest("#inbox-news")));
  document.addEventListener("htmx:after:swap", said, { once: true });
  document.dispatchEvent(new CustomEvent("countersign:ask"));
})"""


def put_off_the_third_before_it_is_shown(page: Page) -> None:
    answers = Answers()
    page.route(re.compile(r"/inbox\?.*at="), answers.hold)
    for _ in range(3):
        with page.expect_request(re.compile("at=")):
            page.keyboard.press("j")
    page.keyboard.press("h")
    expect(page.get_by_role("button", name="For 1 h")).to_be_hidden()  # of the first it would be
    answers.let_come()


def test_the_look_follows_the_row_and_its_menus_are_about_that_row(
    waiting, project, requester, address
):
    with chromium() as browser:
        page = inbox(browser, address)
        opens, later = (
            page.locator(".peek-acts a").first,
            page.get_by_role("button", name="For 1 h"),
        )
        third = another(project, requester)
        page.locator("#inbox-news a").focus()
        assert page.evaluate(FOCUS_AFTER_NEWS)  # what is new is told by the same link
        page.keyboard.press("Enter")
        expect(page.locator("[data-row]")).to_have_count(4)
        listens(page)
        put_off_the_third_before_it_is_shown(page)
        expect(later).to_be_focused()
        expect(opens).to_have_attribute("href", f"/review/T-{third}/r1")
        page.keyboard.press("Escape")
        page.locator("[data-row]").last.focus()
        page.keyboard.press("x")
        bar = page.get_by_role("region", name="Selected reviews")
        expect(bar).to_contain_text("1 selected")
        page.keyboard.press("s")
        expect(page.locator("#assign-pop")).to_have_attribute("open", "")
        page.keyboard.press("Escape")
        expect(page.locator("#assign-pop")).not_to_have_attribute("open", "")
        expect(bar).to_be_visible()  # one press closes one thing
        page.keyboard.press("Escape")
        expect(bar).to_be_hidden()
        page.locator(".question [data-row]").focus()
        page.keyboard.press("h")
        page.keyboard.press("s")
        expect(page.locator("details.pop[open]")).to_have_count(0)
        page.keyboard.press(" ")
        expect(page.locator("#peek")).to_be_hidden()
        page.keyboard.press("j")
        page.keyboard.press(" ")
        expect(opens).to_have_attribute("href", f"/review/T-{waiting[0]}/r1")
        page.set_viewport_size({"width": 1000, "height": 900})
        page.keyboard.press("h")
        expect(page).to_have_url(f"{address}/review/T-{waiting[0]}/r1#key-h")
        expect(later).to_be_focused()


def test_the_palette_follows_what_was_typed_not_what_was_listed_before(waiting, address):
    with chromium() as browser:
        page = inbox(browser, address)
        page.keyboard.press("/")
        first = page.locator("#palette-list a").first
        expect(first).to_contain_text("New task")
        page.keyboard.type("settings")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{address}/settings")


def test_a_stopped_task_is_named_by_its_number(client, lead, project, requester):
    task = fixtures.stopped_task(project, requester).task
    client.force_login(lead)
    assert (
        f'<span class="mono">{task.label}</span> All turns used'
        in client.get("/inbox").content.decode()
    )


def test_z_undoes_the_approval_of_the_row_that_has_the_focus(address, project, requester, lead):
    policies.change(project, by=lead, undo_seconds=300)
    rows = [sealing.seal(make_report(project, requester)) for _ in range(2)]
    for row in rows:
        decide(row.pk, by=lead, verdict="approve", digest=row.digest, nonce=row.nonce)
    labels = [row.task.label for row in rows]
    with chromium() as browser:
        page = inbox(browser, address)
        page.goto(f"{address}/inbox?tab=with-agents")
        listens(page)
        page.keyboard.press("z")  # of no row
        expect(page.locator("[data-undo]:focus")).to_have_count(0)
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("z")
        undo = page.locator(f"#row-{rows[0].task_id} [data-undo]")  # the newest stands first
        expect(undo).to_be_focused()
        assert violations(page, "approvals that can be undone") == []
        page.keyboard.press("Enter")
        expect(page.get_by_text("Undone. Nothing was merged")).to_be_visible()
        expect(page).to_have_url(f"{address}/review/{labels[0]}/r1")
