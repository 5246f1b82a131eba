"""What one has signed and others have not is found under With agents."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db.models import F

from approvals import policies, sealing, selectors, signed
from approvals.models import CallApproval
from projects.models import Membership, Project, Role
from tests.approval_fixtures import make_report, past_triggers
from tests.call_fixtures import decided, make_tool, waiting_call
from tests.reviewing import decide

if TYPE_CHECKING:
    from approvals.models import Approval

pytestmark = pytest.mark.django_db
HEADING = "Signed by you, waits for others"


@pytest.fixture
def approval(project, requester, lead, second_lead) -> Approval:
    policies.change(project, by=lead, signatures_needed=2)
    return sealing.seal(make_report(project, requester))


def sign(approval: Approval, by) -> None:
    seen = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=by, verdict="approve", **seen)


def shown(client, person, query: str = "") -> str:
    client.force_login(person)
    page = client.get(f"/inbox?tab=with-agents{query}").content.decode()
    return " ".join(page.split())


def test_who_signed_first_finds_it_until_the_other_signs(client, approval, lead, second_lead):
    assert HEADING not in shown(client, lead)
    sign(approval, lead)
    page = shown(client, lead)
    assert HEADING in page
    assert "1 of 2 signed" in page
    assert f'href="/review/{approval.task.label}/r1"' in page
    assert HEADING not in shown(client, second_lead)
    sign(approval, second_lead)
    assert HEADING not in shown(client, lead)


def test_more_than_is_shown_is_told(client, project, requester, lead, approval, monkeypatch):
    sign(approval, lead)
    assert f'{HEADING} <span class="muted">1</span>' in shown(client, lead)
    sign(sealing.seal(make_report(project, requester)), lead)
    assert f'{HEADING} <span class="muted">2</span>' in shown(client, lead)
    monkeypatch.setattr(signed, "SHOWN", 1)
    assert f'{HEADING} <span class="muted">1+</span>' in shown(client, lead)


def test_a_call_is_found_likewise(client, project, requester, lead, second_lead):
    policies.change(project, by=lead, signatures_needed=2)
    make_tool()
    call = waiting_call(project, requester)
    decided(call, lead)
    page = shown(client, lead)
    assert "1 of 2 allowed it" in page
    assert f'href="/calls/{call.pk}"' in page
    decided(call, second_lead)
    assert HEADING not in shown(client, lead)


def test_what_asks_them_again_stands_in_their_inbox_alone(client, approval, lead, second_lead):
    sign(approval, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    assert HEADING not in shown(client, lead)
    sign(approval, second_lead)
    page = shown(client, second_lead)
    assert HEADING in page
    assert "1 of 2 signed" in page  # who lost the right does not count
    Membership.objects.filter(user=lead).update(role=Role.LEAD)
    assert HEADING not in shown(client, second_lead)
    assert selectors.needs_you(second_lead).pending


def test_where_one_person_may_do_everything_who_asked_for_it_counts(
    client, project, requester, lead
):
    Project.objects.update(single_person=True)
    Membership.objects.filter(user=requester).update(role=Role.LEAD)
    policies.change(project, by=lead, signatures_needed=2)
    project.refresh_from_db()
    sign(sealing.seal(make_report(project, requester)), requester)
    assert "1 of 2 signed" in shown(client, requester)


def test_with_a_filter_it_is_left_out(client, approval, lead):
    sign(approval, lead)
    assert HEADING not in shown(client, lead, "&q=requester:mira")


def test_changes_and_calls_stand_in_one_order_by_due_time(
    client, approval, project, requester, lead
):
    sign(approval, lead)
    make_tool()
    call = waiting_call(project, requester)
    decided(call, lead)
    CallApproval.objects.filter(pk=call.pk).update(expires_at=F("expires_at") - timedelta(hours=9))
    page = shown(client, lead)
    assert page.index(f'href="/calls/{call.pk}"') < page.index('href="/review/')


def test_what_can_be_undone_still_is_undone_in_its_row(
    client, approval, requester, lead, second_lead, django_assert_max_num_queries
):
    for person in (lead, second_lead):
        sign(approval, person)
    address = f"/review/{approval.task.label}/r1/undo"
    offered = f'action="{address}"'
    assert offered not in shown(client, requester)
    assert offered in shown(client, second_lead)  # any tech lead may
    page = shown(client, lead)
    with django_assert_max_num_queries(12):
        client.get("/inbox?tab=with-agents")
    row = page[page.index(f'id="row-{approval.task_id}"') :]
    assert offered in row
    assert f'name="approval" value="{approval.pk}"' in row
    assert client.post(address, {"approval": str(approval.pk)}).status_code == 302
    approval.refresh_from_db()
    assert approval.state == "withdrawn"
    assert offered not in shown(client, lead)


def test_nothing_is_offered_once_its_window_is_over(client, approval, lead, second_lead):
    for person in (lead, second_lead):
        sign(approval, person)
    past_triggers("UPDATE approvals_effect SET not_before = now()")
    page = shown(client, lead)
    assert "Carrying out" in page
    assert "data-undo" not in page
