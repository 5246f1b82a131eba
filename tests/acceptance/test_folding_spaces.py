"""Lines that differ in spaces only, by the keyboard: folded by `w`, each fold reached and opened by a key."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from approvals import sealing
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.browsing import listens
from tests.acceptance.live_house import signed_in
from tests.approval_fixtures import make_change, make_repository, move_main

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

CALLS = "".join(f"call({number});\n" for number in range(1, 81))


def sealed(project, requester, folder):
    bare = make_repository(folder, project)
    move_main(bare, "web/calls.ts", CALLS)
    text = CALLS.replace("call(40);", "    call(40);").replace("call(60);", "call(61);")
    return sealing.seal(make_change(project, requester, folder, texts={"web/calls.ts": text}))


@pytest.mark.parametrize("width", [1440, 390])
def test_a_fold_is_reached_and_opened_by_keys(
    house, browser, project, requester, lead, tmp_path, width
):
    approval = house.write(sealed, project, requester, tmp_path)
    context = signed_in(house, browser, lead, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(f"/review/{approval.task.label}/r1")
    listens(page)
    page.keyboard.press("w")
    page.wait_for_url("**/r1?spaces=fold")
    listens(page)
    fold = page.get_by_text("1 line differs in spaces only", exact=True)
    within = page.locator("[data-spaces]").get_by_role("row")
    expect(fold).to_be_visible()
    expect(within).to_have_count(0)
    page.keyboard.press("n")
    expect(fold).to_be_focused()
    assert violations(page, f"folded spaces at {width}") == []
    page.keyboard.press("Enter")
    expect(within).to_have_count(1)
    page.keyboard.press("n")
    page.keyboard.press("n")
    expect(page.locator(":focus").get_by_text("call(61);")).to_be_visible()
    context.close()
