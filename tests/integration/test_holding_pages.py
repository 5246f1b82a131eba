"""Pages, API and policy say that signatures hold, for what they were given, and why not."""

from __future__ import annotations

import pytest

from approvals import effects, policies, sealing
from projects.models import Membership
from tests.api_fixtures import by_session
from tests.approval_fixtures import approve, make_change, make_repository
from tests.holding_fixtures import fall_stale, merge_again

pytestmark = pytest.mark.django_db


@pytest.fixture
def bare(project, lead, tmp_path):
    policies.change(project, by=lead, undo_seconds=0)
    return make_repository(tmp_path, project)


@pytest.fixture
def first(project, requester, lead, second_lead, bare, tmp_path):
    return sealing.seal(make_change(project, requester, tmp_path))


@pytest.fixture
def stale(first, lead, bare):
    approve(first, lead)
    first.refresh_from_db()
    fall_stale(first, bare)
    return first


def page_of(client, person, approval):
    client.force_login(person)
    return " ".join(client.get(f"/review/{approval.task.label}/r1").content.decode().split())


def test_who_signs_is_told_before_that_it_holds(client, first, lead):
    assert "signatures hold: who signed is not asked again" in page_of(client, lead, first)


def test_where_the_policy_wants_it_asked_again_nothing_is_said(
    client, project, requester, lead, bare, tmp_path
):
    policies.change(project, by=lead, signatures_hold=False)
    asked = sealing.seal(make_change(project, requester, tmp_path))
    page = page_of(client, lead, asked)
    assert "If you approve" in page
    assert "signatures hold: who" not in page


def test_the_page_says_for_what_it_was_signed(client, stale, second_lead, tmp_path):
    merge_again(stale, tmp_path)
    page = page_of(client, second_lead, stale)
    assert "Signatures hold; merging onto the new main." in page
    assert f'title="{stale.digest}"' in page
    assert "holds because main changed other files only." in page
    effects.carry_out_due("worker")
    page = page_of(client, second_lead, stale)
    assert "Merged as" in page
    assert "merging onto the new main" not in page
    assert "holds because main changed other files only." in page


def test_a_row_says_that_it_was_signed_before_main_moved(client, stale, lead, tmp_path):
    again = merge_again(stale, tmp_path)
    client.force_login(lead)
    page = client.get("/inbox", {"tab": "decided", "at": again.pk}).content.decode()
    assert page.count("1 signature given before main moved") == 1  # and not of what fell stale
    assert "Main changed other files only, so 1 signature holds." in page


def test_the_task_page_tells_it_as_it_happens(client, stale, lead, tmp_path):
    merge_again(stale, tmp_path)
    client.force_login(lead)
    page = client.get(f"/tasks/{stale.task.label}").content.decode()
    assert "Signatures hold; merging onto the new main" in page


def test_what_is_asked_again_says_why(client, first, lead, bare, tmp_path):
    approve(first, lead)
    first.refresh_from_db()
    fall_stale(first, bare, path="docs/rounding.md", text="Tax is rounded half up.\n\nAlways.\n")
    again = merge_again(first, tmp_path)
    assert again.state == "pending"
    said = "Asked again because main changed docs/rounding.md, which this change touches."
    assert said in page_of(client, lead, first)


def test_what_is_asked_again_goes_on_saying_why(client, first, lead, bare, tmp_path):
    approve(first, lead)
    first.refresh_from_db()
    fall_stale(first, bare, path="docs/rounding.md", text="Tax is rounded half up.\n\nAlways.\n")
    again = merge_again(first, tmp_path)
    again.move("stale", decided_at=again.requested_at, main_moved=True, reason="Main moved.")
    third = merge_again(again, tmp_path)
    assert third.snapshot["asked_again"] == again.snapshot["asked_again"]


def test_the_api_names_originals(stale, lead, tmp_path):
    again = merge_again(stale, tmp_path)
    api = by_session(lead)
    told = api.get(f"/api/v1/approvals/{again.pk}").json()
    assert told["follows"] == str(stale.pk)
    assert told["policy"]["signatures_hold"] is True
    (signature,) = told["signatures"]
    assert signature["carried_from"] == str(stale.signatures.get().pk)
    before = api.get(f"/api/v1/approvals/{stale.pk}").json()
    assert (before["follows"], before["signatures"][0]["carried_from"]) == (None, None)


def test_a_policy_is_read_and_changed_over_the_api(project, admin, first):
    Membership.objects.create(user=admin, project=project, role="lead")
    address = f"/api/v1/projects/{project.slug}/policy"
    api = by_session(admin)
    policy = api.get(address).json()
    assert policy["signatures_hold"] is True
    for name in ("in_force_since", "changed_by", "leads", "warnings"):
        del policy[name]
    answer = api("PUT", address, {**policy, "signatures_hold": False})
    assert answer.status_code == 200, answer.json()
    assert policies.active_policy(project).signatures_hold is False
