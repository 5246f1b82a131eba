"""What leaves a bell by itself: what its person has signed, while it waits for others."""

from __future__ import annotations

import pytest

from approvals import expiring, policies, reproposing
from notices import reading
from notices.models import Notification
from tests.approval_fixtures import end_time
from tests.call_fixtures import decided, make_tool, waiting_call
from tests.notice_fixtures import happens, read_all, sealed, told
from tests.reviewing import decide

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _begun(db):
    reading.begin()


def test_a_signature_takes_the_question_from_the_bell_of_who_gave_it(
    project, requester, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=2)
    approval = sealed(project, requester)
    read_all()
    names = [str(lead.pk), str(second_lead.pk)]
    facts = {"verdict": "approve", "digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=lead, **facts)
    happens(approval.task, "approval.reminded", approval=str(approval.pk), share=50, to=names)
    read_all()
    assert told(lead) == ["approval.requested"]
    assert told(second_lead) == ["approval.requested", "approval.reminded"]
    assert not Notification.objects.filter(person=lead, read_at=None).exists()
    assert Notification.objects.filter(person=second_lead, read_at=None).count() == 2


def test_who_allowed_a_call_that_waits_for_another_has_it_on_the_bell_no_more(
    project, requester, lead, second_lead
):
    make_tool()
    policies.change(project, by=lead, signatures_needed=2)
    call = waiting_call(project, requester)
    read_all()
    decided(call, lead)
    read_all()
    assert not Notification.objects.filter(person=lead, read_at=None).exists()
    assert Notification.objects.filter(person=second_lead, read_at=None).count() == 1


def test_of_what_nobody_decided_in_time_hear_all_who_can_ask_again_until_somebody_does(
    project, requester, lead, second_lead, stranger
):
    approval = sealed(project, requester)
    read_all()
    end_time(approval)
    assert expiring.expire_due() == 1
    read_all()
    assert told(requester) == ["approval.decided"]
    assert told(lead) == told(second_lead) == ["approval.requested", "approval.decided"]
    assert told(stranger) == []
    left = Notification.objects.filter(read_at=None)
    assert {each.notice.kind for each in left.select_related("notice")} == {"stuck"}
    assert left.count() == 3
    reproposing.request_again(approval, by=lead)
    read_all()
    now = left.select_related("notice").values_list("notice__type", flat=True)
    assert set(now) == {"approval.requested"}


def test_what_a_person_decided_is_told_to_who_asked_alone(project, requester, lead, second_lead):
    approval = sealed(project, requester)
    facts = {"verdict": "reject", "digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=lead, note="No.", **facts)
    read_all()
    assert told(requester) == ["approval.decided"]
    assert "approval.decided" not in told(lead) + told(second_lead)
