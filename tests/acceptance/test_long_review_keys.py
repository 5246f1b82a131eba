"""A long change by the keyboard: every key goes one further, however far away the next is."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from approvals import sealing
from tests.acceptance import page_fixtures
from tests.acceptance.live_house import signed_in
from tests.approval_fixtures import make_change, make_repository, move_main

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

# All of it is laid out: before, a jump may end where the next thing on the screen pushes it away again.
SETTLED = """() => [...document.querySelectorAll("[data-hunk]")].every(
  (hunk) => hunk.style.contentVisibility === "visible")"""
LINES = [f"line {number}" for number in range(1, 401)]
EDITED = [line + " again" if number % 40 == 20 else line for number, line in enumerate(LINES)]
WHOLE = {"a.txt": LINES, "b.txt": LINES, "c.txt": LINES}
CHANGED = {"a.txt": EDITED, "b.txt": EDITED, "c.txt": LINES[::-1]}


def changes(project, requester, folder):
    """Put up two files of ten small hunks each, and one that is turned around."""
    bare = make_repository(folder, project)
    for path, lines in WHOLE.items():
        move_main(bare, path, "\n".join(lines) + "\n")
    texts = {path: "\n".join(lines) + "\n" for path, lines in CHANGED.items()}
    return sealing.seal(make_change(project, requester, folder, texts=texts))


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["desktop", "phone"])
def page(house, browser, project, requester, lead, tmp_path, request):
    made = house.write(changes, project, requester, tmp_path)
    width, height = request.param
    context = signed_in(house, browser, lead, viewport={"width": width, "height": height})
    page = context.new_page()
    page.goto(f"/review/{made.task.label}/r1")
    page.wait_for_function(SETTLED)
    yield page
    context.close()


def test_keys_go_from_file_to_file_and_from_change_to_change(page):
    for path in ("a.txt", "b.txt"):
        page.keyboard.press("]")
        expect(page.locator("summary:focus")).to_contain_text(path)
    for line in (21, 61, 101):
        page.keyboard.press("n")
        expect_change(page, line)
    page.keyboard.press("p")
    expect_change(page, 61)
    page.keyboard.press("]")
    expect(page.locator("summary:focus")).to_contain_text("c.txt")
    page.keyboard.press("[")
    expect(page.locator("summary:focus")).to_contain_text("b.txt")
    expect(page.locator("summary:focus")).to_be_in_viewport()


def expect_change(page, line: int) -> None:
    """Expect the change of this line to have the focus, and to be what the eyes are on."""
    change = page.locator("[data-change]:focus")
    expect(change).to_contain_text(f"line {line} again")
    expect(change).to_be_in_viewport(ratio=1)
