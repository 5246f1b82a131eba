"""What leaves a bell by itself: what its person has signed, while it waits for others."""

from __future__ import annotations

import pytest

from approvals import policies
from approvals.deciding import decide
from notices import reading
from notices.models import Notification
from tests.call_fixtures import decided, make_tool, waiting_call
from tests.notice_fixtures import happens, read_all, sealed, told

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
