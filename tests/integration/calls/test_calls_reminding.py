"""People are reminded of a call at half of its time and at its end, once each; time alone allows nothing."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from agents import holds
from agents.events import Kind
from agents.models import Hold
from approvals import invariants, policies, reminding
from approvals.calls import ending
from approvals.calls import selectors as call_selectors
from approvals.calls.exceptions import CallOver
from approvals.models import CallApproval, CallReminder
from notices import reading, words
from notices.models import Notification
from projects.across import Mine
from projects.models import AuditEntry
from tests.api_fixtures import by_session
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import decided, end_time, park, waiting_call, working_step
from tests.notice_fixtures import read_all

pytestmark = pytest.mark.django_db

CHECK = next(check for check in invariants.CHECKS if check.name == "reminded-once")


@pytest.fixture
def asks(tool, project, requester, lead, second_lead):
    def ask(**terms) -> CallApproval:
        if terms:
            policies.change(project, by=lead, **terms)
        return waiting_call(project, requester)

    return ask


def reach(call: CallApproval, share: int = 50) -> None:
    """Let the moment of a reminder be over, and for the end the sealed deadline too."""
    if share == 100:
        end_time(call)
        call.refresh_from_db(fields=["expires_at"])
    rows = CallReminder.objects.filter(approval=call, share=share)
    rows.update(due_at=Now() - timedelta(seconds=1))


def told(call: CallApproval) -> list[dict]:
    rows = call.task.events.filter(kind=Kind.APPROVAL_REMINDED).order_by("seq")
    return list(rows.values_list("data", flat=True))


def state(call: CallApproval) -> str:
    return CallApproval.objects.values_list("state", flat=True).get(pk=call.pk)


def test_all_who_may_allow_it_are_reminded_at_half_of_its_time(asks, lead, second_lead):
    call = asks()
    row = CallReminder.objects.get(approval=call)
    half = (call.expires_at - call.requested_at) / 2
    assert abs(row.due_at - call.requested_at - half) < timedelta(seconds=5)
    assert reminding.remind_due() == 0
    reach(call)
    assert (reminding.remind_due(), reminding.remind_due()) == (1, 0)
    (data,) = told(call)
    assert (data["approval"], data["share"]) == (str(call.pk), 50)
    assert sorted(data["to"]) == sorted([str(lead.pk), str(second_lead.pk)])
    entry = AuditEntry.objects.get(action="call.reminded")
    assert (entry.actor, entry.detail["share"], entry.detail["to"]) == (None, 50, ["dana", "ravi"])
    assert state(call) == "pending"


@pytest.mark.django_db(transaction=True)
def test_a_reminder_leads_to_the_page_of_the_call(asks, lead, second_lead):
    call = asks()
    reading.begin()
    reach(call)
    reminding.remind_due()
    read_all()
    line = Notification.objects.get(person=lead, notice__type="approval.reminded")
    assert words.path(line.notice) == f"/calls/{call.pk}"
    assert words.sentence(line.notice) == "Half of the time to decide is over"


def test_who_has_allowed_it_is_not_reminded_and_what_is_over_reminds_nobody(
    asks, lead, second_lead
):
    call = asks(signatures_needed=2)
    decided(call, lead)
    reach(call)
    reminding.remind_due()
    assert [data["to"] for data in told(call)] == [[str(second_lead.pk)]]
    other = asks()
    reach(other)
    decided(other, lead, "refuse", note="No.")
    assert reminding.remind_due() == 0
    assert not CallReminder.objects.filter(approval=other).exists()


def test_what_asks_nobody_reminds_nobody(tool, project, requester, lead):
    tool.read_only = True
    tool.save()
    park(working_step(project, requester), "I-1")
    assert not CallReminder.objects.exists()
    policies.change(project, by=lead, remind_half="nobody")
    tool.read_only = False
    tool.save()
    waiting_call(project, requester)
    assert not CallReminder.objects.exists()


def test_its_end_is_put_off_once_as_sealed_and_then_it_is_refused(asks, client, lead, second_lead):
    call = asks(extend_hours=5, people=[second_lead])
    reach(call, 100)
    assert ending.expire_due() == 0
    mine = Mine.of(lead)
    assert call.pk in call_selectors.waiting(lead.pk, mine).rows.values_list("pk", flat=True)
    assert reminding.remind_due() == 1
    (data,) = told(call)
    assert (data["share"], data["to"]) == (100, [str(second_lead.pk)])
    assert AuditEntry.objects.get(action="call.reminded").detail["extended_hours"] == 5
    client.force_login(lead)
    page = client.get(f"/calls/{call.pk}").content.decode()
    assert "Reminded 1 person at 100 % of the time to decide." in page
    assert "The time was extended once, by 5 h." in page
    read = by_session(lead)("GET", f"/api/v1/calls/{call.pk}").json()
    assert read["decide_by"] > read["expires_at"]
    assert read["policy"]["reminders"]["extend_hours"] == 5
    past_triggers(
        "UPDATE approvals_callapproval SET expires_at = now() - interval '6 hours' WHERE id = %s",
        call.pk,
    )
    with pytest.raises(CallOver, match="time to decide is over"):
        decided(call, lead)
    assert ending.expire_due() == 1
    assert state(call) == "expired"
    assert CHECK.find().shown == ()


def test_within_the_extension_it_is_decided(asks, lead):
    call = asks(extend_hours=5)
    reach(call, 100)
    assert decided(call, lead).state == "allowed"


def test_a_hold_stops_the_time_of_its_reminders(asks, lead):
    call = asks()
    past_triggers("UPDATE approvals_callapproval SET requested_at = now() - interval '1 hour'")
    CallReminder.objects.update(due_at=Now() - timedelta(minutes=10))
    hold = holds.place(by=lead, task=call.task)
    Hold.objects.filter(pk=hold.pk).update(placed_at=Now() - timedelta(minutes=30))
    assert reminding.remind_due() == 0  # ten minutes late, but thirty were held
    Hold.objects.filter(pk=hold.pk).update(placed_at=Now() - timedelta(minutes=5))
    assert reminding.remind_due() == 1


def test_the_database_keeps_what_was_sealed(asks):
    call = asks(extend_hours=5)
    row = CallReminder.objects.get(approval=call, share=100)
    with pytest.raises(IntegrityError), transaction.atomic():
        CallReminder.objects.filter(pk=row.pk).update(extends=timedelta(hours=9))
    past_triggers("DELETE FROM approvals_callreminder WHERE id = %s", row.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        CallReminder.objects.create(
            approval=call, share=100, due_at=call.expires_at, extends=timedelta(days=9)
        )


@pytest.mark.django_db(transaction=True)
def test_two_workers_remind_once(asks):
    call = asks()
    reach(call)
    start, counts = Barrier(2), []

    def remind() -> None:
        try:
            start.wait()
            counts.append(reminding.remind_due())
        finally:
            connection.close()

    threads = [Thread(target=remind) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 1]
    assert len(told(call)) == 1


@pytest.mark.parametrize(
    ("minutes", "shown"), [(30, {"due:<1h", "due:<2d"}), (-1, {"due:<2d"})], ids=["soon", "put off"]
)
def test_the_inbox_narrows_it_by_the_end_of_its_time_as_it_was_put_off(
    client, asks, lead, minutes, shown
):
    call = asks(extend_hours=24)
    past_triggers(
        "UPDATE approvals_callapproval SET expires_at = now() + %s * interval '1 minute' WHERE id = %s",
        minutes,
        call.pk,
    )
    client.force_login(lead)
    pages = {
        typed: client.get("/inbox", {"q": f"{typed} kind:call"}).content.decode()
        for typed in ("due:<1h", "due:<2d")
    }
    assert {typed for typed, page in pages.items() if f"row-{call.pk}" in page} == shown
