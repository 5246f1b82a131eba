"""The trace at a real browser: keys, the drawer, search and filters, many spans, and no JavaScript."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from playwright.sync_api import expect

from agents.models import Attempt, Task
from tests import trace_fixtures as traces
from tests.acceptance.browsing import LONGEST, chromium, listens
from tests.web_process import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def trace(project, requester, lead) -> str:
    return f"/tasks/T-{traces.traced_task(project, requester).number}/trace"


@pytest.fixture
def large(project, requester, lead) -> str:
    return f"/tasks/T-{traces.large_task(project, requester, steps=4).number}/trace"


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    with web(tmp_path) as address:
        yield address


def signed_in(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.set_default_timeout(LONGEST * 1_000)
    page.goto(f"{address}/sign-in")
    page.fill("#username", "mira")
    page.fill("#password", "correct horse")
    page.click("button")
    expect(page).not_to_have_url(re.compile("sign-in"))
    return page


def title(page: Page) -> str:
    """Return the title of the row that has the focus."""
    return page.evaluate("document.activeElement.querySelector('.tr-title')?.textContent || ''")


def beside(act: Callable[[], object]) -> None:
    """Act on a thread of its own, where the database may be used, with a connection of its own."""

    def run() -> None:
        act()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def go_on(task: Task, attempt: Attempt) -> None:
    traces.Recorder(task, task.created_at).tool(attempt, "search_text", 90, 91)
    task.record("limit.warned", {"rule": "turns", "attempt": 1, "detail": "Near."})


def visible(page: Page) -> int:
    return page.locator("[data-span]:not([hidden])").count()


def test_keys_move_close_open_and_show(trace, address):
    with chromium() as browser:
        page = signed_in(browser.new_context(viewport={"width": 1440, "height": 900}), address)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto(address + trace)
        keyboard, all_rows = page.keyboard, visible(page)
        keyboard.press("j")
        assert title(page) == "Router"
        keyboard.press("j")
        assert title(page) == "Turn 1"
        keyboard.press("k")
        assert title(page) == "Router"
        keyboard.press("h")
        assert visible(page) == all_rows - 2
        keyboard.press("j")
        assert title(page) == "Code agent"
        keyboard.press("k")
        keyboard.press("l")
        assert visible(page) == all_rows
        keyboard.press("l")
        keyboard.press("l")
        assert title(page) == traces.MODEL
        keyboard.press("h")
        assert title(page) == "Turn 1"
        keyboard.press("ArrowDown")
        keyboard.press("Enter")
        drawer = page.locator("#span")
        expect(drawer).to_contain_text("Plan it.")
        expect(page).to_have_url(re.compile(r"span=m[0-9a-f]{12}"))
        keyboard.press("j")  # the drawer follows the row
        expect(drawer.locator("h2")).to_have_text("Code agent")
        keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        expect(page).not_to_have_url(re.compile("span="))
        assert title(page) == "Code agent"
        keyboard.press("e")
        expect(page).to_have_url(re.compile("errors=1"))
        expect(page.locator(".tr-err")).to_have_count(4)
        listens(page)
        keyboard.press("e")
        expect(page).not_to_have_url(re.compile("errors=1"))
        assert complaints == []


def test_search_sort_and_a_reload_keep_what_was_chosen(trace, address):
    with chromium() as browser:
        page = signed_in(browser.new_context(viewport={"width": 1440, "height": 900}), address)
        page.goto(address + trace)
        page.get_by_role("searchbox").fill("nowhere.py")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 span fits")).to_be_visible()
        page.get_by_role("link", name=re.compile("read_file")).last.click()
        expect(page.locator("#span")).to_contain_text("There is no file billing/nowhere.py.")
        page.reload()
        expect(page.locator("#span")).to_contain_text("There is no file billing/nowhere.py.")
        expect(page.get_by_role("searchbox")).to_have_value("nowhere.py")
        page.get_by_role("link", name="Slowest 10").click()
        expect(page).to_have_url(re.compile(r"q=nowhere.py.*sort=slowest.*span=c"))
        page.get_by_role("link", name="Show all").click()
        expect(page.locator("[data-span]")).to_have_count(10)


def test_many_spans_open_by_agent_and_go_on_as_they_are_scrolled(large, address):
    with chromium() as browser:
        page = signed_in(browser.new_context(viewport={"width": 1440, "height": 900}), address)
        page.goto(address + large)
        assert visible(page) == 3
        page.keyboard.press("j")
        page.keyboard.press("l")
        expect(page.locator('[data-level="2"]')).to_have_count(2)
        page.keyboard.press("l")
        page.keyboard.press("l")
        expect(page.locator('[data-level="3"]')).to_have_count(25)
        page.keyboard.press("h")
        assert visible(page) == 5
        page.keyboard.press("l")
        assert visible(page) == 30
        page.reload()
        assert visible(page) == 30
        page.get_by_role("link", name="Open all").click()
        expect(page.locator("[data-span]")).to_have_count(400)
        page.locator("#trace-more").scroll_into_view_if_needed()
        expect(page.locator("[data-span]")).to_have_count(800)


def test_without_javascript_every_act_is_a_page(trace, address):
    with chromium() as browser:
        context = browser.new_context(java_script_enabled=False)
        page = signed_in(context, address)
        page.goto(address + trace)
        rows = page.locator("[data-span]").count()
        page.get_by_role("link", name="Open or close Router").click()
        assert page.locator("[data-span]").count() == rows - 2
        page.get_by_role("link", name="delete_branch refused").click()
        expect(page.locator("#span")).to_contain_text("Arguments")
        page.get_by_role("link", name="Errors only").click()
        expect(page.locator(".tr-err")).to_have_count(4)
        expect(page.locator("#span")).to_contain_text("Arguments")
        page.get_by_role("link", name=re.compile("^Close( Esc)?$")).click()
        expect(page.locator("#span")).to_be_hidden()


def test_on_a_phone_nothing_runs_off_the_screen(trace, address):
    with chromium() as browser:
        page = signed_in(browser.new_context(viewport={"width": 390, "height": 844}), address)
        page.goto(address + trace)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        small = page.evaluate(
            "[...document.querySelectorAll('.trace-bar a, .trace-errors a, .trace-cols a')].map(a => a.getBoundingClientRect())"
            ".filter(box => box.width && (box.height < 24 || box.width < 24)).length"
        )
        assert small == 0
        page.get_by_role("link", name=re.compile("^edit_file")).click()
        expect(page.locator("#span")).to_be_focused()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("link", name=re.compile("^Close( Esc)?$")).click()
        expect(page.locator("#span")).to_be_hidden()


def test_the_page_says_what_came_since(trace, address):
    """A running task: the rows stay, a line above counts, one press shows them."""
    task = Task.objects.get()
    attempt = Attempt.objects.get(step__key="cover")
    with chromium() as browser:
        page = signed_in(browser.new_context(viewport={"width": 1440, "height": 900}), address)
        page.goto(address + trace)
        listens(page)
        rows = page.locator("[data-span]").count()
        beside(lambda: go_on(task, attempt))
        expect(page.get_by_text("1 span came since this page was made.")).to_be_visible()
        assert page.locator("[data-span]").count() == rows
        page.keyboard.press(".")
        expect(page.locator("[data-span]")).to_have_count(rows + 1)
