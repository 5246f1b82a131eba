"""Colours of code are ranges of its text, of what is near the screen, and badges keep their own."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from agents.models import Hunk
from agents.workspace import lexing
from approvals import sealing
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.live_house import signed_in

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

ODD = '-total = 1\n+if "\U0001f600\u200b" in names: total = 22  # why\n'
LONG = "".join(f"+value_{each} = {each}000\n" for each in range(200))
COLOURED = """() => Object.fromEntries([...CSS.highlights].map(([name, ranges]) => [name,
  [...ranges].map(({ startContainer, startOffset, endContainer, endOffset }) => {
    const range = new Range();
    range.setStart(startContainer, startOffset);
    range.setEnd(endContainer, endOffset);
    return range.toString();
  })]))"""
DRAWN_AS = """([selector, name]) =>
  getComputedStyle(document.querySelector(selector), `::highlight(${name})`).color"""


def coloured_task(project, requester):
    task = fixtures.make_task(project, requester, state="review")
    steps = fixtures.make_team(task)
    proposal = fixtures.make_proposal(task, steps, warnings=[])
    for position, (path, text) in enumerate([("a.py", ODD), ("b.py", LONG), ("c.py", LONG)]):
        hunk = fixtures.make_file(proposal, position, path, text, steps["coder"])
        Hunk.objects.filter(pk=hunk.pk).update(colours=lexing.codes(path, text))
    sealing.seal(proposal)
    return task


@pytest.fixture
def page(house, browser, project, requester, lead):
    task = house.write(coloured_task, project, requester)
    context = signed_in(house, browser, lead, viewport={"width": 1440, "height": 500})
    page = context.new_page()
    page.goto(f"/review/{task.label}/r1")
    yield page
    context.close()


def coloured(page, number: str) -> dict[str, list[str]]:
    """Wait until this number is coloured; return what is, a few lines at a time."""
    page.wait_for_function(f"(number) => ({COLOURED})()['syn-n']?.includes(number)", arg=number)
    return page.evaluate(COLOURED)


def test_code_is_coloured_token_by_token_and_a_badge_is_not(house, page):
    page.locator("#f1").scroll_into_view_if_needed()
    found = coloured(page, "22")
    assert found["syn-k"][:2] == ["if", "in"]
    assert "".join(found["syn-s"]).startswith('"\U0001f600"')
    assert found["syn-n"][:2] == ["1", "22"]
    assert found["syn-c"] == ["# why"]
    assert page.locator("#f1 .diff-new .diff-code").inner_text() == (
        'if "\U0001f600U+200B" in names: total = 22  # why'
    )
    plain = page.evaluate("getComputedStyle(document.querySelector('#f1 .diff-code')).color")
    assert page.evaluate(DRAWN_AS, ["#f1 .diff-new .diff-code", "syn-k"]) != plain


def test_only_what_is_near_the_screen_has_colours(house, page):
    page.locator("#f1").scroll_into_view_if_needed()
    coloured(page, "22")
    page.locator("#f3-n200").scroll_into_view_if_needed()
    page.wait_for_function("() => [...CSS.highlights.get('syn-c')].length === 0")
    last = coloured(page, "199000")["syn-n"]
    assert "22" not in last
    assert "100000" not in last  # of the same hunk, but far
    page.locator("#f1").scroll_into_view_if_needed()
    page.wait_for_function("() => [...CSS.highlights.get('syn-c')].length === 1")
    assert coloured(page, "22")["syn-n"].count("22") == 1


def test_forced_colours_are_left_alone(house, page):
    coloured(page, "22")
    page.emulate_media(forced_colors="active")
    page.wait_for_function("() => CSS.highlights.size === 0")
    page.emulate_media(forced_colors="none")
    coloured(page, "22")


def test_numbers_and_signs_are_told_before_the_line(house, page):
    row = page.locator("#f1").get_by_role("row").first
    expect(row).to_match_aria_snapshot("""
      - row:
        - cell "1 removed total = 1"
        - cell /1 added if .*/
    """)
