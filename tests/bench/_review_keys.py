"""A tech lead who has a keyboard and nothing else, at a real Chromium."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from playwright.sync_api import Page

    from tests.bench._review_changes import Wanted

NOTE = "Name the buckets by what they hold."
REASON = "Totals stay as they are until the release."
_TURNS = 3  # of one approval at most: put off, called back, decided
_TABS = 80  # presses to reach a control by Tab
_FIRST = "document.querySelector('[data-rows] li.at [data-row]')?.getAttribute('href') ?? ''"
_SNOOZED = '#inbox-tabs a[href^="?tab=snoozed"]'
_LABEL = "button => button.form.querySelector('[data-confirms]')?.dataset.confirms ?? ''"
_UNVIEWED = "[data-viewed][aria-pressed=false]"


@dataclass
class Cleared:
    """How it went."""

    seconds: float = 0.0
    each: list[float] = field(default_factory=list)  # seconds from inbox to inbox
    presses: int = 0


class Hand:
    """Presses keys and looks at what they did."""

    def __init__(self, page: Page) -> None:
        self.page, self.presses = page, 0

    def press(self, key: str) -> None:
        """Press one key."""
        self.presses += 1
        self.page.keyboard.press(key)

    def opens(self, *keys: str) -> None:
        """Press keys the last of which opens a page, and wait until all of it is there."""
        *before, last = keys
        for key in before:
            self.press(key)
        with self.page.expect_event("load"):
            self.press(last)

    def types(self, text: str) -> None:
        """Type where the focus is; fails when that is no field."""
        self.page.wait_for_function("document.activeElement.matches('textarea, [type=text]')")
        self.presses += len(text)
        self.page.keyboard.type(text)

    def tab_to(self, selector: str) -> None:
        """Press Tab until the focus is there."""
        for _ in range(_TABS):
            self.press("Tab")
            if self.page.evaluate("one => document.activeElement.matches(one)", selector):
                return
        raise AssertionError(f"{selector} is not within {_TABS} presses of Tab")

    def first(self) -> int:
        """Return the number of the task the inbox shows beside the list, or 0."""
        found = re.search(r"/review/T-(\d+)/", self.page.evaluate(_FIRST))
        return int(found[1]) if found else 0


def clear(page: Page, address: str, wanted: Sequence[Wanted]) -> Cleared:
    """Go from the inbox to a decision and back until nothing waits, nor is put off."""
    left = {each.approval.task.number: each for each in wanted}
    done, aside = Cleared(), set[int]()
    hand = Hand(page)
    page.goto(f"{address}/inbox")
    began = last = time.perf_counter()
    for _ in range(_TURNS * len(wanted)):
        number = hand.first()
        if not left or (number and number not in left):  # what was decided waits: it is missing
            break
        if not number:
            _wake(hand)
        elif left[number].before and number not in aside:
            aside.add(number)
            _BEFORE[left[number].before](hand)
        else:
            _ACTS[left.pop(number).act](hand)
            hand.opens("g", "i")
            done.each.append(time.perf_counter() - last)
            last = time.perf_counter()
    done.seconds, done.presses = time.perf_counter() - began, hand.presses
    return done


def _snooze(hand: Hand) -> None:
    hand.opens("h", "Enter")


def _claim(hand: Hand) -> None:
    hand.opens("s", "Enter")


def _wake(hand: Hand) -> None:
    """Go to what was put off, call the first back, and return to what waits."""
    hand.tab_to(_SNOOZED)
    hand.opens("Enter")
    hand.opens("h", "Enter")
    hand.opens("g", "i")


def _approve(hand: Hand) -> None:
    """Open it, view every file and type the label where the policy asks for it, approve."""
    hand.opens("Enter")
    if hand.page.locator("#files-viewed").get_attribute("data-left") != "0":
        while unviewed := hand.page.locator(_UNVIEWED).count():
            hand.press("v")
            fewer = "([one, n]) => document.querySelectorAll(one).length < n"
            hand.page.wait_for_function(fewer, arg=[_UNVIEWED, unviewed])
        hand.page.wait_for_selector("#approve:not([data-missing])")
    hand.press("a")
    if label := hand.page.locator("#approve").evaluate(_LABEL):
        hand.types(label)
    hand.opens("Enter")


def _request_changes(hand: Hand) -> None:
    """Open it at the note, say what must change, send it back."""
    hand.opens("r")
    hand.types(NOTE)
    hand.opens("Control+Enter", "Enter")


def _refuse_hunk(hand: Hand) -> None:
    """Open it, refuse the first change with a note of its own, send it back."""
    hand.opens("Enter")
    hand.press("n")
    hand.tab_to("[name^=verdict-]")
    hand.press("ArrowRight")
    hand.tab_to("[name^=note-]")
    hand.types(NOTE)
    hand.opens("Control+Enter", "Enter")


def _reject(hand: Hand) -> None:
    """Open it, be asked for a reason, give it, reject."""
    hand.opens("Enter")
    for key in ("X", "Enter"):
        hand.press(key)
    hand.types(REASON)
    hand.press("Escape")
    hand.opens("X", "Enter")


_BEFORE: Mapping[str, Callable[[Hand], None]] = {"snooze": _snooze, "claim": _claim}
_ACTS: Mapping[str, Callable[[Hand], None]] = {
    "approve": _approve,
    "request_changes": _request_changes,
    "refuse_hunk": _refuse_hunk,
    "reject": _reject,
}
