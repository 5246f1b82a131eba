"""What is medium risk is approved by who has viewed every file: by the keyboard alone, or by taps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from approvals import sealing
from approvals.models import Signature
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.browsing import listens, view_files
from tests.acceptance.live_house import signed_in
from tests.approval_fixtures import GREEN

if TYPE_CHECKING:
    from projects.models import Project, User

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


def asked(project: Project, requester: User) -> Any:
    made = fixtures.reviewed_task(project, requester)
    assert made.approval.risk == "medium"
    return made.task


def easy(project: Project, requester: User) -> Any:
    """Return a task of low risk in review."""
    task = fixtures.make_task(project, requester, state="review")
    steps = fixtures.make_team(task)
    proposal = fixtures.make_proposal(task, steps, warnings=[], checks=GREEN, added=1, removed=1)
    fixtures.make_file(proposal, 0, "docs/a.md", "-old\n+new\n", steps["writer"])
    assert sealing.seal(proposal).risk == "low"
    return task


def test_every_file_is_viewed_by_one_key_and_then_it_can_be_approved(
    house, browser, project, requester, lead
):
    task = house.write(asked, project, requester)
    context = signed_in(house, browser, lead, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"/review/{task.label}/r1")
    approve, hint = page.locator("[data-decide=a]"), page.locator("[data-refused]")
    expect(hint).to_have_text("View 3 more files to approve.")
    expect(approve).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_text("View 3 more files: ").first).to_be_visible()
    listens(page)
    for _ in range(3):
        page.keyboard.press("v")  # faster than the server answers
    expect(page.locator("#files-viewed")).to_have_text("3 of 3")
    expect(page.locator("[data-file] > details[open]")).to_have_count(0)
    expect(hint).to_be_hidden()
    expect(approve).to_have_attribute("aria-disabled", "false")
    assert violations(page, "every file viewed") == []
    page.reload()
    expect(page.locator("#files-viewed")).to_have_text("3 of 3")
    expect(page.locator("[data-file] > details[open]")).to_have_count(0)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your name is on the signature line")).to_be_visible()
    context.close()


def test_a_mark_is_taken_back_and_the_file_opens_again(house, browser, project, requester, lead):
    task = house.write(asked, project, requester)
    context = signed_in(house, browser, lead, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"/review/{task.label}/r1")
    mark = page.locator("#f1 [data-viewed]")
    approve, why = page.locator("#approve"), page.locator("[data-refused]")
    expect(approve).to_have_accessible_description("View 3 more files to approve.")
    expect(why).to_be_in_viewport(ratio=1)  # above the button, wherever the page stands
    box, button = why.bounding_box(), approve.bounding_box()
    assert box
    assert button
    assert 0 <= button["y"] - box["y"] - box["height"] < 16
    page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'v', repeat: true }))"
    )  # a key that is held marks nothing
    expect(page.locator("[data-viewed][aria-pressed=true]")).to_have_count(0)
    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#f1 > details")).not_to_have_attribute("open", "")
    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#f1 > details")).to_have_attribute("open", "")
    expect(page.locator("#files-viewed")).to_have_text("0 of 3")
    context.close()


def test_on_a_phone_a_tap_approves_after_every_file_was_viewed_and_not_before(
    house, browser, project, requester, lead
):
    task = house.write(asked, project, requester)
    context = signed_in(house, browser, lead, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"/review/{task.label}/r1")
    approve = page.locator("#approve")
    expect(page.locator("[data-refused]")).to_have_text("View 3 more files to approve.")
    approve.click(force=True)  # grey: it is sent, and the server refuses it
    expect(page.get_by_text("View 3 more files: ").first).to_be_visible()
    assert not house.write(Signature.objects.exists)
    view_files(page)
    expect(approve).to_have_attribute("aria-disabled", "false")
    approve.click()
    expect(page.get_by_text("Your name is on the signature line")).to_be_visible()
    assert house.write(Signature.objects.get).every_file_viewed
    context.close()


def test_what_is_low_risk_is_approved_at_once(house, browser, project, requester, lead):
    task = house.write(easy, project, requester)
    context = signed_in(house, browser, lead, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"/review/{task.label}/r1")
    listens(page)
    expect(page.locator("[data-refused]")).to_be_hidden()
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your name is on the signature line")).to_be_visible()
    assert not house.write(Signature.objects.get).every_file_viewed
    context.close()
