"""The task page shows what a model thinks apart from what it says, while it comes and afterwards."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
import redis
from playwright.sync_api import expect

from agents.runtime.streaming import tail_key
from projects import characters
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.payloads.hidden import EVERY
from tests.stack import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

browser = page_fixtures.browser
house = page_fixtures.house
made = page_fixtures.made
context = page_fixtures.context

pytestmark = [
    pytest.mark.needs_chromium,
    pytest.mark.django_db(transaction=True),
]

LONG = "The sum is rounded on every line. " * 40
COLOUR = "node => getComputedStyle(node).color"


def watch(context: BrowserContext, made) -> Page:
    page = context.new_page()
    page.goto(f"/tasks/T-{made.task.number}?tab=events&agent={made.steps['coder'].pk}")
    expect(page.locator("[data-connection]")).to_have_attribute("data-connection", "live")
    return page


def test_a_thought_stands_apart_and_becomes_a_row_that_is_folded(house, context, made):
    page, coder = watch(context, made), made.steps["coder"]
    thought, text = page.locator("[data-thinking]"), page.locator("[data-delta]")
    expect(thought).to_be_hidden()
    house.stream(coder, 0, "<b>Hm", "thinking")
    house.stream(coder, 5, ", well", "thinking")
    house.stream(coder, 30, "lost", "thinking")  # after a gap: it is not shown
    house.stream(coder, 0, "I begin")
    expect(text).to_have_text("I begin")
    expect(thought.locator("p")).to_have_text("<b>Hm, well")
    expect(thought.locator("summary")).to_have_text("Thinking, 11 characters")
    assert thought.locator("p").evaluate(COLOUR) != text.evaluate(COLOUR)
    assert page.locator("#stream .muted").count() == 0

    house.write(fixtures.say, coder, "I begin.", thinking=f"<b>\u202e{LONG}")
    row = page.locator(".stream > details:not([data-thinking])")
    expect(row.locator("summary")).to_have_text(f"Thinking, {len(LONG) + 4:,} characters")
    expect(row.locator("p")).to_be_hidden()
    expect(thought).to_be_hidden()
    expect(text).to_have_text("")
    row.locator("summary").click()
    expect(row.locator("p")).to_contain_text("<b>")
    expect(row.locator("p")).to_contain_text("U+202E")
    event = page.locator(f"#event-{made.task.last_seq} details")
    expect(event.locator("summary")).to_have_text(f"Thinking, {len(LONG) + 4:,} characters")
    # What a person unfolded stays so when the page is told more.
    house.write(fixtures.say, coder, "And more.")
    expect(page.locator(".stream > .stream-text", has_text="And more.")).to_be_visible()
    expect(row.locator("p")).to_be_visible()


def test_pieces_with_emoji_lose_no_character(house, context, made):
    page, coder = watch(context, made), made.steps["coder"]
    pieces = [
        "Done \U0001f600\U0001f680",
        ", 1 of 2 ",
        "\u00e9\U0001f9d1\u200d\U0001f4bb then ",
        "rest",
    ]
    said = ""
    for piece in [*pieces, ""]:
        for kind in ("delta", "thinking"):
            house.stream(coder, len(said), piece, kind)
        said += piece
    shown = said.replace("\u200d", "⟨U+200D⟩")
    expect(page.locator("[data-delta]")).to_have_text(shown)
    expect(page.locator("[data-thinking] p")).to_have_text(shown)
    length = f"Thinking, {len(said)} characters"
    expect(page.locator("[data-thinking] summary")).to_have_text(length)


def test_what_cannot_be_seen_is_marked_while_it_is_written(house, context, made):
    page, coder = watch(context, made), made.steps["coder"]
    for kind in ("delta", "thinking"):
        house.stream(coder, 0, EVERY, kind)
    for place in ("[data-delta]", "[data-thinking] p"):
        expect(page.locator(place)).to_contain_text("U+0430")
        assert page.locator(place).evaluate("node => node.textContent") == characters.plain(EVERY)


def test_scripts_mark_what_the_server_marks(browser):
    module = (ROOT / "static/js/characters.js").read_text().replace("export function", "function")
    known = "".join(
        f"p{chr(number)}y "
        for number in range(0x20000)
        if unicodedata.category(chr(number))
        not in {"Cn", "Cs"}  # what is assigned grows by the year
    )
    page = browser.new_page()
    assert page.evaluate(f"(text) => {{ {module}; return plain(text); }}", known) == (
        characters.plain(known)
    )
    page.close()


def test_a_thought_is_not_folded_under_who_reads_it(house, context, made):
    page, coder = watch(context, made), made.steps["coder"]
    house.stream(coder, 0, LONG * 3, "thinking")
    expect(page.locator("[data-thinking] p")).to_be_visible()
    follow = page.locator('[data-follow="stream"]')
    expect(follow).to_have_text("Following")
    follow.click()
    expect(follow).to_have_attribute("aria-pressed", "false")
    house.write(fixtures.say, coder, "I begin.", thinking=LONG * 3)
    row = page.locator(".stream > details:not([data-thinking])")
    expect(row.locator("p")).to_be_visible()
    expect(page.locator("[data-thinking]")).to_be_hidden()


def test_a_late_comer_is_shown_what_was_thought_so_far(house, context, made):
    coder = made.steps["coder"]
    with redis.Redis.from_url(house.redis.url) as client:
        for offset, text in ((0, "First, "), (7, "then")):
            client.xadd(tail_key(coder.pk, "thinking"), {"offset": offset, "text": text})
        client.xadd(tail_key(coder.pk), {"offset": 0, "text": "I begin"})
    page = watch(context, made)
    expect(page.locator("[data-thinking] p")).to_have_text("First, then")
    expect(page.locator("[data-delta]")).to_have_text("I begin")


def test_a_late_comer_to_a_long_message_is_shown_its_last_pieces(house, context, made):
    coder = made.steps["coder"]
    with redis.Redis.from_url(house.redis.url) as client:  # of which the first are gone by now
        for offset, text in ((2_000, "and so "), (2_007, "on")):
            client.xadd(tail_key(coder.pk), {"offset": offset, "text": text})
    page = watch(context, made)
    expect(page.locator("[data-delta]")).to_have_text("… and so on")
    house.stream(coder, 2_009, ", to the end")
    expect(page.locator("[data-delta]")).to_have_text("… and so on, to the end")
    house.stream(coder, 0, "Next")
    expect(page.locator("[data-delta]")).to_have_text("Next")


def test_a_thought_moves_nothing_and_a_finished_task_shows_it_from_rows(house, context, made):
    page, coder = watch(context, made), made.steps["coder"]
    for number in range(40):
        house.stream(coder, 0 if number == 0 else number * len(LONG), LONG, "thinking")
    expect(page.locator("[data-thinking] summary")).to_contain_text(f"{40 * len(LONG):,}")
    shifts = page.evaluate("window.shifts")
    assert sum(each["value"] for each in shifts) < 0.01, shifts
    house.write(fixtures.say, coder, "", thinking="Only this.")
    house.write(made.task.move, "cancelled", kind="task.finished")
    house.redis.stop()
    page.reload()
    row = page.locator(".stream > details:not([data-thinking])")
    expect(row.locator("p")).to_have_text("Only this.")
    house.redis.start()
