"""While a reviewer writes, main moves: what was said of unchanged hunks is there in the next version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from agents.lifecycle import TaskState
from agents.models import Hunk, Task
from approvals import following, policies, sealing
from approvals.models import Approval
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.browsing import listens
from tests.acceptance.live_house import signed_in
from tests.acceptance.test_inbox_keys import Answers
from tests.approval_fixtures import approve, make_change, make_repository, move_main, view_all
from tests.holding_fixtures import fall_stale, merge_again

if TYPE_CHECKING:
    from pathlib import Path

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)


def merged_again(first: Approval, folder: Path) -> Any:
    """Let main move and a worker merge the work onto it: the hunk of the docs becomes another."""
    move_main(folder / "origin.git")
    assert following.follow({}) == 1
    task = Task.objects.get(pk=first.task_id)
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW)
    task.refresh_from_db()
    task.round = 9  # only so that the steps of the fixture get keys of their own
    proposal = make_change(first.project, first.requester, folder, task=task, version=2, round=1)
    Hunk.objects.filter(file__proposal=proposal, file__path="docs/rounding.md").update(
        digest="f" * 64
    )
    return sealing.seal(proposal)


def moved_after_a_look(lead: Any, folder: Path) -> None:
    """Let the reviewer view every file, and main move then."""
    view_all(Approval.objects.get(state="pending"), lead)
    move_main(folder / "origin.git", "README.md", "Once more.\n")


def test_only_the_changed_hunk_is_asked_anew(house, browser, project, requester, lead, tmp_path):
    house.write(make_repository, tmp_path, project)
    first = house.write(lambda: sealing.seal(make_change(project, requester, tmp_path)))
    context = signed_in(house, browser, lead, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    address = f"/review/{first.task.label}/r1"
    page.goto(address)
    hunks = page.locator("[data-hunk]")
    expect(hunks).to_have_count(3)
    hunks.nth(0).locator("summary", has_text="Note").click()  # that of what is refused opens itself
    for place, word in enumerate(("Fine here.", "Not so.", "Wrong page.")):
        hunks.nth(place).get_by_label("Accept" if place == 0 else "Refuse").check()
        hunks.nth(place).locator("textarea").fill(word)
    page.get_by_label("Your note").fill("Nearly there.")
    house.write(merged_again, first, tmp_path)
    page.goto(address)
    expect(page.get_by_text("Merged onto main again,")).to_be_visible()
    expect(page.get_by_text("1 hunk is not as before")).to_be_visible()
    expect(page.get_by_label("Your note")).to_have_value("Nearly there.")
    kept, asked = ("Fine here.", "Not so."), hunks.nth(2)
    for place, word in enumerate(kept):
        expect(hunks.nth(place).locator("textarea")).to_have_value(word)
        expect(hunks.nth(place).locator("input:checked")).to_have_count(1)
    expect(hunks.nth(0).get_by_label("Accept")).to_be_checked()
    expect(hunks.nth(1).get_by_label("Refuse")).to_be_checked()
    expect(asked.locator("textarea")).to_have_value("")
    expect(asked.locator("input:checked")).to_have_count(0)
    expect(asked.get_by_text("changed since main moved")).to_be_visible()
    hunks.nth(1).get_by_label("Accept").check()
    page.keyboard.press("Escape")
    house.write(moved_after_a_look, lead, tmp_path)
    approve = page.locator("[data-decide=a]")
    answers = Answers()
    page.route("**/r1/main", answers.hold)
    page.reload()
    listens(page)
    page.keyboard.press("a")
    answers.let_come()
    expect(approve).to_have_accessible_description("Main has moved since this was sealed.")
    expect(approve).to_be_focused()  # the answer takes the button from nobody
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not signed.")).to_be_visible()
    expect(page.get_by_text("Main moved.")).to_be_visible()
    stored = page.evaluate(
        "Object.entries(localStorage).filter(([key]) => key.includes(':draft:'))"
    )
    assert len(stored) == 1
    assert "Nearly there." in stored[0][1]
    assert violations(page, "merged again") == []
    context.close()


def approved_before(project: Any, requester: Any, lead: Any, folder: Path) -> Approval:
    """Let a change be approved, fall stale and be merged onto a main that moved in other files."""
    policies.change(project, by=lead, undo_seconds=0)
    bare = make_repository(folder, project)
    first = sealing.seal(make_change(project, requester, folder))
    approve(first, lead)
    first.refresh_from_db()
    fall_stale(first, bare)
    merge_again(first, folder)
    return first


def test_signatures_that_hold_say_for_what_they_were_given(
    house, browser, project, requester, lead, second_lead, tmp_path
):
    first = house.write(approved_before, project, requester, lead, tmp_path)
    context = signed_in(house, browser, second_lead, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"/review/{first.task.label}/r1")
    expect(page.get_by_text("Signatures hold; merging onto the new main.")).to_be_visible()
    signatures = page.get_by_label("Signatures")
    expect(signatures).to_contain_text("Dana Kim")
    expect(signatures).to_contain_text("holds because main changed other files only.")
    signatures.get_by_title(first.digest).click()
    expect(page.locator("#rounds").get_by_title(first.digest)).to_be_in_viewport()
    assert violations(page, "signatures hold") == []
    context.close()
