"""A reviewer edits a file by the keyboard, another approves: what is merged is what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from approvals import effects
from approvals.models import Approval, Effect
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.browsing import listens, view_by_keys
from tests.acceptance.live_house import signed_in
from tests.approval_fixtures import git, make_repository
from tests.editing_fixtures import checked_anew, editable
from tests.reviewing import decide

if TYPE_CHECKING:
    from pathlib import Path

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
ADDED = "Refunds round the same way."


def sealed(project, requester, folder: Path) -> Approval:
    make_repository(folder, project)
    return editable(project, requester, folder)


def merged(approval: Approval) -> Effect:
    Effect.objects.filter(approval=approval).update(not_before="2020-01-01T00:00:00Z")
    effect = Effect.objects.get(approval=approval)
    effects.carry_out(effect.pk, worker="test")
    effect.refresh_from_db()
    return effect


def test_an_edit_is_checked_approved_by_another_and_merged(
    house, browser, project, requester, lead, second_lead, tmp_path
):
    first = house.write(sealed, project, requester, tmp_path)
    context = signed_in(house, browser, lead, viewport=WIDE)
    page = context.new_page()
    address = f"/review/{first.task.label}/r1"
    page.goto(address)
    page.locator("#f2 summary").first.focus()
    page.keyboard.press("e")
    field = page.get_by_label("The file as it would be merged")
    expect(field).to_be_focused()
    expect(field).to_have_value("Tax is rounded half even, once.\n")
    assert violations(page, "editing a file") == []
    page.set_viewport_size(PHONE)
    assert violations(page, "editing a file on a phone") == []
    page.set_viewport_size(WIDE)
    listens(page)
    page.keyboard.press("Control+End")
    page.keyboard.type(ADDED)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("The platform checks it now")).to_be_visible()
    expect(page.locator("#decision")).to_have_count(0)
    assert violations(page, "an edit is checked") == []
    new = house.write(checked_anew, first)
    page.goto(address)
    expect(page.get_by_text("of the version before")).to_be_visible()
    human = page.locator("[data-file]").filter(has_text="docs/rounding.md")
    expect(human.locator(".hunk-author")).to_contain_text(lead.display_name)
    expect(human.get_by_text(ADDED)).to_be_visible()
    assert violations(page, "an edited version") == []
    context.close()
    context = signed_in(house, browser, second_lead, viewport=WIDE)
    page = context.new_page()
    page.goto(address)
    view_by_keys(page)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your name is on the signature line")).to_be_visible()
    context.close()
    effect = house.write(merged, new)
    assert effect.state == "done"
    bare = tmp_path / "origin.git"
    assert git(bare, "show", "main:docs/rounding.md") == f"Tax is rounded half even, once.\n{ADDED}"
    assert git(bare, "rev-parse", "main^{tree}") == new.snapshot["effects"][0]["tree"]


def test_what_was_typed_is_kept_when_somebody_was_faster(
    house, browser, project, requester, lead, second_lead, tmp_path
):
    first = house.write(sealed, project, requester, tmp_path)
    context = signed_in(house, browser, lead, viewport=WIDE)
    page = context.new_page()
    page.goto(f"/review/{first.task.label}/r1/edit?path=docs/rounding.md")
    field = page.get_by_label("The file as it would be merged")
    field.fill("Half even.\n")
    house.write(reject, first, second_lead)
    page.get_by_role("button", name="Save and check").click()
    expect(page.get_by_text("Not saved.")).to_be_visible()
    expect(field).to_have_value("Half even.\n")
    expect(page.get_by_role("button", name="Save and check")).to_have_count(0)
    assert violations(page, "an edit that came too late") == []
    context.close()


def reject(approval: Approval, by) -> None:
    sealed_as = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=by, verdict="reject", note="Not needed.", **sealed_as)
