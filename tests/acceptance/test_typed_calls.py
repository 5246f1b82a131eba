"""A call of high risk is allowed by keys once its task's label is typed, on a desk and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from approvals.models import CallApproval, StandingGrant
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.browsing import listens
from tests.acceptance.live_house import signed_in
from tests.call_fixtures import make_tool, park, working_step
from tests.standing_fixtures import let_any

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from projects.models import Project, User

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


def three(project: Project, requester: User, lead: User) -> list[CallApproval]:
    make_tool()
    let_any(project, lead)
    rows = park(working_step(project, requester), "I-1", "I-2", "I-3")
    assert {row.risk for row in rows} == {"high"}
    return rows


def state(house, row: CallApproval) -> str:
    return house.write(CallApproval.objects.values_list("state", flat=True).get, pk=row.pk)


def opened(page: Page, path: str) -> None:
    page.goto(path)
    listens(page)


def test_a_keyboard_types_the_label_and_allows(house, browser, project, requester, lead):
    one, *_ = house.write(three, project, requester, lead)
    label = house.write(lambda: one.task.label)
    context = signed_in(house, browser, lead, viewport=SIZES["desk"])
    page = context.new_page()
    opened(page, "/inbox")
    page.keyboard.press("j")
    expect(page.locator(f"#row-{one.pk} [data-row]")).to_be_focused()
    page.keyboard.press("a")  # opens what is to be read, and allows nothing
    expect(page).to_have_url(f"{house.url}/calls/{one.pk}")
    allow = page.get_by_role("button", name="Allow once")
    field = page.get_by_label(f"Type {label} to allow: high risk")
    expect(allow).to_have_attribute("aria-disabled", "true")
    expect(allow).to_have_accessible_description(f"Type {label} to allow: high risk")
    listens(page)
    page.keyboard.press("a")
    expect(field).to_be_focused()
    page.keyboard.type("t-0")
    page.keyboard.press("Enter")
    hint = page.locator("#confirm-call-refused")
    expect(hint).to_have_text(f"Type {label} first. Nothing is allowed yet.")
    expect(field).to_be_focused()
    page.keyboard.press("Control+Enter")
    assert state(house, one) == "pending"
    page.keyboard.type(label.lower())  # what was typed is selected
    expect(allow).to_have_attribute("aria-disabled", "false")
    expect(hint).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(allow).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Allowed once.")).to_be_visible()
    assert state(house, one) == "allowed"
    context.close()


def test_other_arguments_ask_for_the_label_and_a_refusal_does_not(
    house, browser, project, requester, lead
):
    two, three_, *_ = house.write(three, project, requester, lead)
    label = house.write(lambda: two.task.label)
    context = signed_in(house, browser, lead, viewport=SIZES["desk"])
    page = context.new_page()
    field = page.get_by_label(f"Type {label} to allow: high risk")
    opened(page, f"/calls/{two.pk}")
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type('{"invoice": "I-2", "cents": 5}')
    page.get_by_role("button", name="Allow with these arguments").click(force=True)
    expect(field).to_be_focused()
    page.keyboard.type(label)
    page.keyboard.press("Control+Enter")  # as they were changed
    expect(page.get_by_text("Allowed once.")).to_be_visible()
    assert house.write(lambda: CallApproval.objects.get(pk=two.pk).edited)
    opened(page, f"/calls/{three_.pk}")
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Refuse")).to_be_focused()  # a refusal stays one key
    page.get_by_label("Reason, told to the agent").fill("Not this one.")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Refused. Nothing is called")).to_be_visible()
    context.close()


def test_what_is_remembered_is_shown_before_its_label_is_typed(
    house, browser, project, requester, lead
):
    row, *_ = house.write(three, project, requester, lead)
    label = house.write(lambda: row.task.label)
    context = signed_in(house, browser, lead, viewport=SIZES["desk"])
    page = context.new_page()
    opened(page, f"/calls/{row.pk}")
    page.keyboard.press("m")
    remember = page.get_by_role("button", name="Allow and remember")
    field = page.get_by_label(f"Type {label} to allow and remember")
    expect(remember).to_have_attribute("aria-disabled", "true")
    page.get_by_label("How invoice may differ").select_option("Any value")
    expect(remember).to_have_attribute("aria-disabled", "false")  # it only shows it now
    remember.click()
    expect(page.locator("#remember-told")).to_contain_text("invoice may be anything")
    expect(remember).to_have_attribute("aria-disabled", "true")
    remember.click(force=True)
    expect(field).to_be_focused()
    assert state(house, row) == "pending"
    page.keyboard.type(label)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="remembered as a standing grant")).to_be_visible()
    assert house.write(StandingGrant.objects.count) == 1
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_accessible_and_in_reach(house, browser, project, requester, lead, size, scheme):
    row, *_ = house.write(three, project, requester, lead)
    label = house.write(lambda: row.task.label)
    context = signed_in(house, browser, lead, viewport=SIZES[size], color_scheme=scheme)
    page = context.new_page()
    opened(page, f"/calls/{row.pk}")
    allow = page.get_by_role("button", name="Allow once")
    expect(allow).to_have_attribute("aria-disabled", "true")
    allow.click(force=True)
    expect(page.locator("#confirm-call-refused")).to_be_visible()
    assert violations(page, f"typed call, {size}, {scheme}", [scheme]) == []
    page.emulate_media(color_scheme=scheme)
    field = page.locator("#confirm-call")
    field.fill(label)
    box, button = field.bounding_box(), allow.bounding_box()
    assert box
    assert button
    assert box["y"] + box["height"] <= button["y"]
    assert button["y"] + button["height"] <= SIZES[size]["height"]
    assert box["height"] >= (44 if size == "phone" else 32)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("summary", has_text="Allow and remember").click()
    assert violations(page, f"remembered, {size}, {scheme}", [scheme]) == []
    context.close()
