"""A review from the first look to the merge, by people at real browsers, mostly by the keyboard.

One hunk is refused with a note; the second round shows only what changed; two people sign, one takes it
back in time, both sign again, the second by taps on a phone in the dark; the bytes on main are the bytes
that were sealed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.acceptance.axe import violations
from tests.acceptance.browsing import SLOW, Person, chromium, listens, view_by_keys, view_files
from tests.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page, ViewportSize

pytestmark = pytest.mark.needs_chromium

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
REQUEST = "Fix the billing bug & update docs"
REFUSAL = "Line 12 still says half up: a hidden character kept it from the search."
# Who takes it back looks at it in every size and theme before; who does not waits for the merge.
IN_TIME, SOON = 300, 45  # seconds
TWO_SIGN = """
from approvals import policies
from projects.models import Project, User
project = Project.objects.get(slug="billing-demo")
policies.change(project, by=User.objects.get(username="{admin}"), signatures_needed=2, undo_seconds={seconds})
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env={"COUNTERSIGN_REHEARSAL_PACE_MS": "5"}) as stack:
        two_sign(stack, IN_TIME)
        yield stack


def two_sign(stack: Stack, seconds: int) -> None:
    """Let two people sign, and have so long to undo it."""
    admin = stack.accounts["admin"]["username"]
    done = stack.manage("shell", "-c", TWO_SIGN.format(admin=admin, seconds=seconds))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def people(stack: Stack) -> Iterator[dict[str, Person]]:
    with chromium() as browser:
        names = ("requester", "lead", "second_lead")
        yield {name: Person(browser, stack, name) for name in names}


def test_from_a_refused_hunk_to_the_sealed_bytes_on_main(stack, people):
    requester, lead, second = (people[name] for name in ("requester", "lead", "second_lead"))
    number = requester.hand_over(REQUEST)
    waits(lead, number)
    refused = refuse_one_hunk(lead, number)
    waits(lead, number)
    second_round_shows_the_delta(lead, number, refused)
    sign_by_keys(lead, number, says="You have signed. It waits for another tech lead.")
    sign_by_keys(second, number, says="carries out in")
    two_sign(stack, SOON)  # of what is sealed from here on
    take_back(lead, number)
    sign_by_keys(lead, number, says="You have signed. It waits for another tech lead.")
    sign_on_a_phone(second, number, says="carries out in")
    expect(second.page.get_by_text("Merged as").first).to_be_visible(timeout=SLOW)
    sealed = sealed_by(lead, number)
    assert stack.git("rev-parse", "main^{tree}") == sealed["effects"][0]["tree"]
    blobs = {each["path"]: each["new_blob"] for each in sealed["files"]}
    assert {path: stack.git("rev-parse", f"main:{path}") for path in blobs} == blobs
    assert stack.git("rev-parse", "main^1") == sealed["effects"][0]["base"]
    trailers = stack.git("log", "-1", "--format=%(trailers:key=Approved-by,valueonly)", "main")
    assert [line.split(" <")[0] for line in trailers.splitlines()] == ["Dana Kim", "Ravi Singh"]
    for person in people.values():
        assert person.complaints == []


def listening(person: Person, path: str) -> Page:
    """Open a page and wait until its scripts hear keys."""
    page = person.open(path)
    listens(page)
    return page


def waits(lead: Person, number: int) -> None:
    page = listening(lead, f"/tasks/T-{number}")
    expect(page.locator("#task-head")).to_contain_text("Waits for your signature", timeout=SLOW)


def refuse_one_hunk(lead: Person, number: int) -> str:
    """Refuse one of the four or more; return the text of an accepted one."""
    page = listening(lead, f"/review/T-{number}/r1")
    hunks = page.locator("[data-hunk]")
    assert hunks.count() >= 4
    docs = hunks.filter(has=page.get_by_text("Tech writer")).first
    docs.get_by_text("Refuse").click()
    docs.get_by_role("textbox").fill(REFUSAL)
    page.keyboard.press("Escape")
    expect(page.locator("input[value=refuse]:checked")).to_have_count(1)
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sent back").first).to_be_visible()
    return REFUSAL


def second_round_shows_the_delta(lead: Person, number: int, refused: str) -> None:
    """Only what the tech writer did anew is shown, and the comment on it is addressed."""
    page = listening(lead, f"/review/T-{number}/r2")
    new, old = page.locator(".hunk-new"), page.locator("[data-hunk]:not(.hunk-new)")
    assert new.count() > 0
    assert old.count() > 0
    for at in range(new.count()):
        expect(new.nth(at)).to_contain_text("Tech writer")
        expect(new.nth(at).get_by_role("table")).to_be_visible()
    assert shown_lines(old) == 0
    page.keyboard.press("d")
    expect(page.get_by_text("The whole change, whatever was decided before.")).to_be_visible()
    assert shown_lines(old) == old.count()
    page.keyboard.press("d")
    expect(page.get_by_text("and folded.")).to_be_visible()
    comment = page.locator("#rounds li.comment", has_text=refused)
    expect(comment).to_contain_text("addressed")
    assert both_sizes(page, "round 2") == []


def shown_lines(hunks: Locator) -> int:
    """Return how many of these hunks show their lines."""
    tables = hunks.locator("[role=table]")
    return sum(tables.nth(at).is_visible() for at in range(tables.count()))


def sign_by_keys(person: Person, number: int, *, says: str) -> None:
    """Open the review from the inbox and approve, without a pointer."""
    page = listening(person, "/tasks")
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.locator("[data-row]").first).to_be_visible(timeout=SLOW)
    listens(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/review/T-{number}/r2"))
    view_by_keys(page)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator("#decision-part")).to_contain_text(says)
    assert both_sizes(page, says) == []


def sign_on_a_phone(person: Person, number: int, *, says: str) -> None:
    """Do the same by taps, on a phone in the dark."""
    person.page.set_viewport_size(PHONE)
    person.page.emulate_media(color_scheme="dark")
    page = listening(person, "/inbox")
    page.locator("[data-row]").first.click()
    expect(page).to_have_url(re.compile(rf"/review/T-{number}/r2"))
    listens(page)
    view_files(page)
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#decision-part")).to_contain_text(says)
    assert both_sizes(page, f"{says}, on a phone") == []


def take_back(lead: Person, number: int) -> None:
    page = listening(lead, f"/review/T-{number}/r2")
    page.keyboard.press("z")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Undone. Nothing was merged").first).to_be_visible()


def both_sizes(page: Page, name: str) -> list[str]:
    """Return what axe holds against the page, wide and on a phone, in both themes; nothing sticks out."""
    found = []
    for size in (PHONE, WIDE):
        page.set_viewport_size(size)
        found += violations(page, f"{name}, {size['width']}")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
    return found


def sealed_by(lead: Person, number: int) -> dict[str, Any]:
    """Return what was sealed for the approval that was given, as the API tells this person."""
    ask, api = lead.page.request.get, f"{lead.stack.url}/api/v1/approvals"
    listed = ask(f"{api}?state=approved").json()["results"]
    (mine,) = [each for each in listed if each["task"]["number"] == number]
    snapshot: dict[str, Any] = ask(f"{api}/{mine['id']}").json()["snapshot"]
    return snapshot
