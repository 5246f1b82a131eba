"""What is high risk is approved by keys once its label is typed, on a desk and on a phone, in both themes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from approvals import policies
from approvals.models import Signature
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.live_house import signed_in

if TYPE_CHECKING:
    from projects.models import Project, User

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
FAILING = {**fixtures.CHECKS, "exit_code": 1, "failed": 3}


def dangerous(project: Project, requester: User, lead: User) -> Any:
    policies.change(project, by=lead, every_file_from="rules")
    made = fixtures.reviewed_task(project, requester, checks=FAILING)
    assert made.approval.risk == "high"
    return made.task


def test_a_keyboard_types_the_label_and_approves(house, browser, project, requester, lead):
    task = house.write(dangerous, project, requester, lead)
    context = signed_in(house, browser, lead, viewport=SIZES["desk"])
    page = context.new_page()
    page.goto(f"/review/{task.label}/r1")
    approve, field = page.locator("#approve"), page.get_by_label(f"Type {task.label} to approve")
    expect(approve).to_have_attribute("aria-disabled", "true")
    expect(approve).to_have_accessible_description(f"Type {task.label} to approve: high risk")
    page.keyboard.press("a")
    expect(field).to_be_focused()
    page.keyboard.type("t-0")
    page.keyboard.press("Enter")
    hint = page.locator("[data-refused]")
    expect(hint).to_have_text(f"Type {task.label} first. Nothing is signed yet.")
    expect(field).to_be_focused()
    expect(page).to_have_url(f"{house.url}/review/{task.label}/r1")
    page.keyboard.type(task.label.lower())  # what was typed is selected
    expect(approve).to_have_attribute("aria-disabled", "false")
    expect(hint).to_be_hidden()
    page.reload()
    expect(field).to_have_value("")  # it is no draft
    expect(approve).to_have_attribute("aria-disabled", "true")
    approve.click(force=True)
    expect(field).to_be_focused()
    page.keyboard.type(task.label)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your name is on the signature line")).to_be_visible()
    assert house.write(Signature.objects.count) == 1
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_accessible_and_in_reach(house, browser, project, requester, lead, size, scheme):
    task = house.write(dangerous, project, requester, lead)
    context = signed_in(house, browser, lead, viewport=SIZES[size], color_scheme=scheme)
    page = context.new_page()
    page.goto(f"/review/{task.label}/r1")
    expect(page.locator("#approve")).to_have_attribute("aria-disabled", "true")
    assert violations(page, f"typed confirmation, {size}, {scheme}") == []
    field = page.locator("#confirmation")
    field.fill(task.label)
    box, approve = field.bounding_box(), page.locator("#approve").bounding_box()
    assert box
    assert approve
    assert box["y"] + box["height"] <= approve["y"]
    assert approve["y"] + approve["height"] <= SIZES[size]["height"]
    assert box["height"] >= (44 if size == "phone" else 32)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
