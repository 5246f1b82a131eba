"""A hunk is refused with a word: the page opens its note, and asks for one before it sends it back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from approvals.models import Comment
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.browsing import listens
from tests.acceptance.live_house import signed_in

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(house, browser, project, requester, lead):
    made = house.write(fixtures.reviewed_task, project, requester)
    context = signed_in(house, browser, lead, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"/review/{made.task.label}/r1")
    listens(page)
    yield page
    context.close()


def test_who_refuses_a_hunk_is_asked_what_must_change(house, page):
    hunk = page.locator("#f2 [data-hunk]").first
    note = hunk.get_by_label("Note on this hunk")
    expect(note).to_be_hidden()
    hunk.get_by_label("Refuse").check()
    expect(note).to_be_visible()
    send = page.locator("[data-decide=r]")
    send.click()
    expect(note).to_be_focused()
    expect(page.get_by_text("Say what must change in what you refuse.")).to_be_visible()
    assert violations(page, "a refused hunk without a note") == []
    assert house.write(Comment.objects.count) == 0
    page.keyboard.type("Round it once.")
    send.click()
    expect(page.get_by_text("Sent back").first).to_be_visible()
    assert house.write(Comment.objects.get).note == "Round it once."


@pytest.mark.parametrize("where", ["on a line", "on the whole"])
def test_a_word_elsewhere_is_enough(house, page, where):
    page.locator("#f2 [data-hunk]").first.get_by_label("Refuse").check()
    if where == "on a line":
        page_fixtures.click_number(page, "#f2-n88")
    else:
        page.get_by_label("Your note").focus()
    page.keyboard.type("Round it once.")
    page.locator("[data-decide=r]").click()
    expect(page.get_by_text("Sent back").first).to_be_visible()


def test_whom_a_note_goes_to_is_chosen_and_told_before_it_is_sent(house, page):
    hunk = page.locator("#f2 [data-hunk]").first
    hunk.locator(".hunk-note summary").click()
    hunk.get_by_label("goes to").select_option("tester")
    hunk.get_by_label("Note on this hunk").fill("Cover this.")
    told, readers = page.locator("[data-goes-to]"), page.locator("[data-note-goes-to]")
    gets = ". Test agent gets 1 comment, Code agent, Tech writer and Aggregator get none"
    expect(told).to_have_text(gets)
    expect(readers).to_have_text("Test agent")
    page.locator("[data-readers] summary").click()
    page.get_by_label("Tech writer", exact=True).check()
    expect(readers).to_have_text("Tech writer")
    page.reload()
    expect(hunk.get_by_label("goes to")).to_have_value("tester")
    expect(readers).to_have_text("Tech writer")
    assert violations(page, "a note for another agent") == []
    hunk.get_by_label("Accept").check()
    expect(hunk.get_by_label("goes to")).to_be_hidden()
    expect(hunk.get_by_text("kept, sent to nobody: you accept the hunk")).to_be_visible()
    expect(told).to_have_text(". 1 note on what you accept goes to nobody")
    assert violations(page, "a note on an accepted hunk") == []
