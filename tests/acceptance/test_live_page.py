"""The task page follows a run without a reload: by its cursor, through every break of the line."""

from __future__ import annotations

import random
import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.live_house import (
    HIDE,
    House,
    arrived,
    newest,
    seqs_of,
    shows,
    wait_until,
)

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

SEED = 20_261_128
CUTS = 60
MOST_ROWS = 500
# How the connection stood, one after the other, and whether decisions were paused then.
STATES = """
window.states = [];
window.paused = [];
new MutationObserver(([change]) => {
  const now = change.target.dataset.connection;
  if (window.states.at(-1) === now) return;
  window.states.push(now);
  window.paused.push(document.querySelector("#stop-pop [data-decide]").disabled);
}).observe(document.querySelector("[data-connection]"), { attributes: true });
"""
# A wheel may scroll for some frames yet.
RESTS = """async (box) => {
  for (let [still, before] = [0, box.scrollTop]; still < 5; before = box.scrollTop) {
    await new Promise(requestAnimationFrame);
    still = box.scrollTop === before ? still + 1 : 0;
  }
  return box.scrollTop;
}"""
MOVED = "document.querySelector('[data-follows=events]').scrollTop > 40"
UP_AS_ROWS_COME = """
new MutationObserver((_, observer) => {
  observer.disconnect();
  document.querySelector("[data-follows=events]").scrollTop = 0;
}).observe(document.querySelector("#events"), { childList: true });
"""


def watch(context: BrowserContext, made, query: str = "?tab=events") -> Page:
    """Open the task's page and wait until it is live."""
    page = context.new_page()
    page.goto(f"/tasks/T-{made.task.number}{query}")
    expect(page.locator("[data-connection]")).to_have_attribute("data-connection", "live")
    page.evaluate("window.neverReloaded = true")
    return page


def speak(made, count: int, length: int = 20) -> None:
    for number in range(count):
        fixtures.say(made.steps["coder"], f"{number} " + "x" * length)


def check_whole(page: Page, last: int) -> None:
    """Every event came into the page once, in order, and it was never loaded again."""
    assert arrived(page) == [*range(1, last + 1)]
    assert page.evaluate("window.neverReloaded") is True


@pytest.mark.parametrize("longest", [0.0, 0.2, 0.9])
def test_events_come_without_a_reload_at_any_pace(house, context, made, longest):
    """How soon is measured by `python -m tests.bench.live_page`."""
    page = watch(context, made)
    for _ in range(20):
        house.write(speak, made, 1)
        time.sleep(random.uniform(0, longest))  # noqa: S311 - a person's or a model's pace
    shows(page, newest(house, made.task))
    check_whole(page, made.task.last_seq)


def test_a_hidden_tab_rests_and_goes_on_by_its_cursor(house, context, made):
    page = watch(context, made)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for count in (7, 40, 130):
        page.evaluate(HIDE, True)
        asked.clear()
        house.write(speak, made, count)
        page.wait_for_timeout(600)
        assert asked == [], "a hidden page asked for fragments"
        page.evaluate(HIDE, False)
        shows(page, newest(house, made.task))
    check_whole(page, made.task.last_seq)


def test_a_page_that_was_offline_goes_on_by_its_cursor(house, context, made):
    page = watch(context, made)
    for count in (3, 90, 260):
        context.set_offline(True)
        expect(page.locator("[data-offline]")).to_be_visible()
        house.write(speak, made, count)
        context.set_offline(False)
        shows(page, newest(house, made.task))
        expect(page.locator("[data-offline]")).to_be_hidden()
    check_whole(page, made.task.last_seq)


class Breaks:
    """Breaks the line of one page at seeded moments, and counts into what the break fell."""

    def __init__(self, house: House, made, page: Page) -> None:
        self.house, self.made, self.page = house, made, page
        self.random = random.Random(SEED)  # noqa: S311 - repeats itself, keeps no secret
        self.counts: dict[str, int] = {}

    def one(self) -> None:
        kinds = {
            "before the first event": self.first,
            "inside a replay": self.replay,
            "inside a burst": self.burst,
        }
        kind = self.random.choice(sorted(kinds))
        self.counted(kind, kinds[kind])

    def counted(self, kind: str, break_) -> None:
        before = self.house.proxy.cuts
        break_()
        shows(self.page, newest(self.house, self.made.task))
        expect(self.page.locator("[data-connection]")).to_have_attribute("data-connection", "live")
        self.counts[kind] = self.counts.get(kind, 0) + self.house.proxy.cuts - before

    def first(self) -> None:
        """The next socket breaks before it has carried an event."""
        self.house.proxy.budgets.append(self.random.randrange(1, 250))
        self.house.proxy.cut()
        self.house.write(speak, self.made, self.random.randrange(1, 9))

    def replay(self) -> None:
        """The next socket breaks among the events it repeats."""
        self.house.proxy.budgets.append(self.random.randrange(300, 4_000))
        self.house.proxy.cut()
        self.house.write(speak, self.made, self.random.randrange(10, 20), 200)

    def burst(self) -> None:
        writing = self.house.writing(speak, self.made, self.random.randrange(10, 40))
        self.page.wait_for_timeout(self.random.randrange(0, 120))
        self.house.proxy.cut()
        writing.result(30)

    def redis(self) -> None:
        """Redis goes and comes back; what was written meanwhile was told to nobody."""
        self.house.redis.stop()
        self.house.write(speak, self.made, 5)
        self.house.proxy.cut()
        self.house.redis.start()
        self.house.write(speak, self.made, 5)


def test_random_disconnects_leave_no_gap_and_no_duplicate(house, context, made):
    page = watch(context, made)
    breaks = Breaks(house, made, page)
    for turn in (1, 2, 3):
        while house.proxy.cuts < CUTS * turn / 3:
            breaks.one()
        breaks.counted("across a Redis restart", breaks.redis)
    print(f"\n{house.proxy.cuts} disconnects: {breaks.counts}; {made.task.last_seq} events")
    check_whole(page, made.task.last_seq)
    assert len(breaks.counts) == 4


def test_after_a_long_sleep_the_list_comes_anew_and_older_rows_can_be_loaded(house, context, made):
    page = watch(context, made)
    context.set_offline(True)
    house.write(speak, made, 620)
    context.set_offline(False)
    shows(page, newest(house, made.task))
    last = made.task.last_seq
    assert seqs_of(page) == [*range(last - 199, last + 1)]
    while (first := seqs_of(page)[0]) > 1:
        page.wait_for_function(MOVED)  # the answer is not only in the page, it is done
        page.locator("#events").evaluate("list => list.parentElement.scrollTop = 0")
        page.wait_for_selector(f"#event-{first - 1}", state="attached")
        seqs = seqs_of(page)
        assert seqs == [*range(seqs[0], seqs[-1] + 1)]
        assert len(seqs) <= MOST_ROWS
    page.locator('[data-follow="events"]').click()
    shows(page, last)
    assert seqs_of(page)[-1] == last
    assert page.evaluate("window.neverReloaded") is True


def test_a_reader_who_goes_up_as_rows_come_is_not_pulled_back(house, context, made):
    house.write(speak, made, 300)
    page = watch(context, made)
    first = seqs_of(page)[0]
    page.wait_for_function(MOVED)
    page.evaluate(UP_AS_ROWS_COME)
    house.write(speak, made, 1)
    shows(page, first - 1)
    expect(page.locator('[data-follow="events"]')).not_to_have_text("Following")


def test_a_page_holds_no_more_than_500_rows_and_follows_only_at_its_end(house, context, made):
    page = watch(context, made)
    chip = page.locator('[data-follow="events"]')
    for _ in range(6):
        house.write(speak, made, 110)
        shows(page, newest(house, made.task))
    seqs = seqs_of(page)
    assert len(seqs) == MOST_ROWS
    assert seqs == [*range(seqs[0], made.task.last_seq + 1)]
    box = page.locator("[data-follows=events]")
    box.hover()
    page.mouse.wheel(0, -900)
    expect(chip).to_have_text("Jump to the end")
    top = box.evaluate(RESTS)
    house.write(speak, made, 12)
    expect(chip).to_have_text("12 new, jump")
    first = box.evaluate(
        "box => box.scrollTop + 12 * box.querySelector('#events > :last-child').offsetHeight"
    )
    assert abs(first - top) < 12, "what was being read moved"
    chip.click()
    expect(chip).to_have_text("Following")
    assert box.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") < 2


def test_the_connection_says_how_it_stands_and_decisions_wait(house, context, made):
    page = watch(context, made, "")
    footer = page.locator("[data-connection]")
    stop = page.locator("#stop-pop [data-decide]")
    page.evaluate(STATES)
    house.proxy.shut()
    expect(footer).to_have_attribute("data-connection", "offline")
    assert page.evaluate("window.states") == ["reconnecting", "offline"]
    assert page.evaluate("window.paused") == [False, True]
    bar = page.locator("[data-offline]")
    expect(bar).to_have_text(
        re.compile(r"^Showing state from \d\d:\d\d:\d\d\. Decisions are paused\.$")
    )
    expect(stop).to_be_disabled()
    house.proxy.mend()
    expect(footer).to_have_attribute("data-connection", "live")
    expect(bar).to_be_hidden()
    expect(stop).to_be_enabled()


def test_a_page_does_not_call_itself_live_while_the_database_is_away(house, context, made):
    page = watch(context, made, "")
    footer = page.locator("[data-connection]")
    page.evaluate(STATES)
    with house.database_away():
        house.proxy.cut()
        expect(footer).to_have_attribute("data-connection", "offline")
        accepted = house.proxy.sockets
        wait_until(lambda: house.proxy.sockets > accepted, "the page tries again")
        assert page.evaluate("window.states") == ["reconnecting", "offline"]
    page.evaluate("dispatchEvent(new Event('online'))")  # it need not wait for its next try
    expect(footer).to_have_attribute("data-connection", "live")
    house.write(speak, made, 1)
    page.goto(f"/tasks/T-{made.task.number}?tab=events")
    shows(page, newest(house, made.task))


def test_a_handshake_that_hangs_is_given_up_and_tried_again(house, context, made):
    page = watch(context, made, "")
    footer = page.locator("[data-connection]")
    with house.proxy.swallowing():
        house.proxy.cut()
        expect(footer).to_have_attribute("data-connection", "offline")
        tried = house.proxy.sockets
        wait_until(lambda: house.proxy.sockets > tried, "the page tries again")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(footer).to_have_attribute("data-connection", "live")


def test_a_task_that_waits_says_its_place_as_others_begin(house, context, project, requester, made):
    first, second = (house.write(fixtures.queued_task, project, requester) for _ in range(2))
    page = context.new_page()
    page.goto(f"/tasks/T-{second.number}")
    head = page.locator("#task-head")
    expect(head).to_contain_text("Queued, position 2")
    # It is told of its own events alone; that another began is none of them.
    house.write(lambda: first.steps.update(state="done"))
    expect(head).to_contain_text("Queued, position 1")


def test_the_pane_follows_who_works_until_somebody_is_picked(house, context, made):
    page = watch(context, made, "")
    coder, writer = made.steps["coder"], made.steps["writer"]
    pane = page.locator("#stream")

    def streaming(step, *others) -> None:
        """Let a step write, and those beside it once, until the pane shows it."""
        for number in range(200):
            for each in others if number == 0 else ():
                house.stream(each, 0, "A first word")
            house.stream(step, number, "y")
            if pane.get_attribute("data-step") == str(step.pk):
                return
            page.wait_for_timeout(100)

    streaming(coder, writer)
    expect(pane).to_have_attribute("data-step", str(coder.pk))
    expect(pane.locator("[data-delta]")).to_have_text(re.compile("^y+$"))
    streaming(writer)
    expect(pane).to_have_attribute("data-step", str(writer.pk))
    page.locator(f'a[data-agent="{coder.pk}"]').click()
    expect(pane).to_have_attribute("data-step", str(coder.pk))
    assert f"agent={coder.pk}" in page.url
    for number in range(60):
        house.stream(writer, number, "z")
        page.wait_for_timeout(100)
    expect(pane).to_have_attribute("data-step", str(coder.pk))
    assert page.evaluate("window.neverReloaded") is True


def test_a_finished_task_is_shown_from_rows_alone(house, context, project, requester, lead):
    made = house.write(fixtures.running_task, project, requester)
    house.write(speak, made, 3)
    house.write(made.task.move, "cancelled", kind="task.finished")
    house.redis.stop()
    page = context.new_page()
    page.goto(f"/tasks/T-{made.task.number}?tab=events&agent={made.steps['coder'].pk}")
    expect(page.locator("#outcome")).to_contain_text("Stopped")
    assert seqs_of(page) == [*range(1, newest(house, made.task) + 1)]
    expect(page.locator("#stream")).to_contain_text("The half-even cases fail")
    house.redis.start()
