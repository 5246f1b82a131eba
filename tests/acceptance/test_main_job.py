"""The whole main job, by two people at real browsers against the real stack.

The requester submits and watches; the lead reads, requests changes on one hunk, reads what
changed in round 2 and approves; the merge is on main; the lesson is recalled by the next task.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.acceptance.browsing import SLOW, Person, chromium, view_files
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs_chromium

REQUEST = "Fix the billing bug & update docs"
REFUSAL = "Line 12 still says half up: a hidden character kept it from the search."
LESSON = "Search the docs for the rounding rule with hidden characters left out."


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env={"COUNTERSIGN_REHEARSAL_PACE_MS": "5"}) as stack:
        yield stack


@pytest.fixture(scope="module")
def people(stack: Stack) -> Iterator[tuple[Person, Person]]:
    with chromium() as browser:
        yield Person(browser, stack, "requester"), Person(browser, stack, "lead")


def test_from_a_sentence_to_a_signed_off_merge(stack, people):
    requester, lead = people
    before = stack.git("rev-parse", "main")
    number = submit_and_watch(requester)
    review_round_1(lead, number)
    assert stack.git("rev-parse", "main") == before, "merged without a signature"
    review_round_2(lead, number)
    watch_the_merge(requester, number)
    look_at_the_commit(stack, number, before)
    assert requester.complaints == []
    assert lead.complaints == []


def test_the_lesson_is_recalled_by_the_next_task(people):
    requester, lead = people
    memory = lead.open("/memory")
    expect(memory.get_by_text(LESSON).first).to_be_visible()
    lead.picture("memory")
    requester.hand_over("Where do the docs state the rounding rule? Search for hidden characters.")
    page = requester.page
    expect(page.locator("#task-head")).to_contain_text("the agent is blocked", timeout=SLOW)
    card = page.get_by_role("region", name="A person is needed").or_(page.locator("#attention"))
    expect(card.first).to_contain_text("No language model is configured")
    expect(page.get_by_role("heading", name="Lessons used")).to_be_visible()
    expect(page.get_by_text(LESSON).first).to_be_visible()
    requester.picture("task-blocked")


def submit_and_watch(requester: Person) -> int:
    """Hand over the request and see it reach sign-off without a reload."""
    requester.open("/new")
    requester.picture("new")
    number = requester.hand_over(REQUEST)
    page = requester.page
    page.evaluate("window.neverReloaded = true")
    expect(page.get_by_text("rehearsal").first).to_be_visible()
    expect(page.get_by_text("Code agent").first).to_be_visible(timeout=SLOW)
    requester.picture("task-running")
    expect(page.locator("#task-head")).to_contain_text("Waits for", timeout=SLOW)
    assert page.evaluate("window.neverReloaded") is True
    requester.picture("task-review")
    requester.open("/tasks")
    requester.picture("tasks")
    return number


def review_round_1(lead: Person, number: int) -> None:
    """Read the proposal from the inbox; refuse the docs hunk and keep a lesson."""
    page = lead.open("/inbox")
    expect(page.get_by_text("billing").first).to_be_visible(timeout=SLOW)
    lead.picture("inbox")
    page = lead.open(f"/review/T-{number}/r1")
    expect(page.get_by_role("heading", name="If you approve")).to_be_visible()
    expect(page.get_by_text("1 contradicted")).to_be_visible()
    expect(page.get_by_text("U+200B").first).to_be_visible()
    lead.picture("review-round-1")
    docs = page.locator("[data-hunk]").filter(has=page.get_by_text("Tech writer")).first
    docs.get_by_text("Refuse").click()
    docs.get_by_role("textbox").fill(REFUSAL)
    page.get_by_text("Keep a lesson from this").click()
    page.get_by_label("Keep this as a lesson").check()
    page.get_by_role("textbox", name="The lesson in one sentence").fill(LESSON)
    page.get_by_role("button", name="Request changes").click()
    expect(page.get_by_text("Sent back").first).to_be_visible()
    lead.picture("review-sent-back")


def review_round_2(lead: Person, number: int) -> None:
    """See what changed since, mark every file as viewed, and approve."""
    page = lead.open(f"/tasks/T-{number}")
    expect(page.locator("#task-head")).to_contain_text("Waits for your signature", timeout=SLOW)
    page = lead.open(f"/review/T-{number}/r2")
    expect(page.get_by_text("new in round 2").first).to_be_visible()
    expect(page.get_by_text(REFUSAL).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"^(\d+) of \1 proven by us$"))).to_be_visible()
    lead.picture("review-round-2")
    expect(page.locator("#approve")).to_have_accessible_description(
        re.compile(r"View \d more files to approve\.")
    )
    view_files(page)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    lead.picture("review-approved")
    expect(page.get_by_text("Merged as").first).to_be_visible(timeout=SLOW)
    lead.picture("review-merged")


def watch_the_merge(requester: Person, number: int) -> None:
    """The requester is told."""
    page = requester.open(f"/tasks/T-{number}")
    expect(page.get_by_role("heading", name="Merged as")).to_be_visible(timeout=SLOW)
    requester.picture("task-done")


def look_at_the_commit(stack: Stack, number: int, before: str) -> None:
    """One merge commit on main, with its trailers, holding the work of three agents."""
    assert stack.git("rev-parse", "main^1") == before
    assert stack.git("rev-list", "--count", "--first-parent", f"{before}..main") == "1"
    trailers = stack.git("log", "-1", "--format=%(trailers)", "main")
    assert f"Countersign-Task: T-{number}" in trailers
    assert "Countersign-Approval: " in trailers
    assert "Approved-by: Dana Kim" in trailers
    changed = stack.git("diff", "--name-only", before, "main").splitlines()
    assert {"billing/invoice.py", "docs/rounding.md", "tests/test_invoice.py"} <= set(changed)
    assert "\u200b" not in stack.git("show", "main:docs/rounding.md")
