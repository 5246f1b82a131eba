"""People are reminded at half of the time and at its end, once each; time alone never approves."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.urls import reverse

from agents import holds
from agents.events import Kind
from agents.models import Hold
from approvals import expiring, policies, reminding, sealing, selectors
from approvals.canonical import digest_of
from approvals.exceptions import ApprovalExpired
from approvals.models import Approval, Reminder
from approvals.requirements import Reminders, Required
from projects.models import AuditEntry, Membership
from tests import console_fixtures as fixtures
from tests.api_fixtures import by_session
from tests.approval_fixtures import end_time, make_report, past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def sealed(project, requester, lead, second_lead):
    def seal(**terms):
        if terms:
            policies.change(project, by=lead, **terms)
        return sealing.seal(make_report(project, requester))

    return seal


def reach(approval, share=50):
    """Let the moment of a reminder be over, and for the end the sealed deadline too."""
    if share == 100:
        end_time(approval)
        approval.refresh_from_db(fields=["expires_at"])
    Reminder.objects.filter(approval=approval, share=share).update(
        due_at=Now() - timedelta(seconds=1)
    )


def told(approval):
    rows = approval.task.events.filter(kind=Kind.APPROVAL_REMINDED).order_by("seq")
    return list(rows.values_list("data", flat=True))


def state(approval):
    return Approval.objects.get(pk=approval.pk).state


def sign(approval, by):
    facts = {"digest": approval.digest, "nonce": approval.nonce}
    return decide(approval.pk, by=by, verdict="approve", **facts)


def test_all_who_may_sign_are_reminded_at_half_unless_the_policy_says_otherwise(
    sealed, lead, second_lead
):
    approval = sealed()
    row = Reminder.objects.get(approval=approval)
    half = (approval.expires_at - approval.requested_at) / 2
    assert abs(row.due_at - approval.requested_at - half) < timedelta(seconds=5)
    assert reminding.remind_due() == 0
    reach(approval)
    assert reminding.remind_due() == 1
    assert reminding.remind_due() == 0
    (data,) = told(approval)
    assert (data["approval"], data["share"]) == (str(approval.pk), 50)
    assert sorted(data["to"]) == sorted([str(lead.pk), str(second_lead.pk)])
    entry = AuditEntry.objects.get(action="approval.reminded")
    assert (entry.actor, entry.detail["share"], entry.detail["to"]) == (None, 50, ["dana", "ravi"])
    assert state(approval) == "pending"


def test_who_has_signed_is_not_reminded(sealed, lead, second_lead):
    approval = sealed(signatures_needed=2)
    sign(approval, lead)
    reach(approval)
    reminding.remind_due()
    assert [data["to"] for data in told(approval)] == [[str(second_lead.pk)]]


def test_the_people_named_are_reminded_while_they_are_members(sealed, lead, second_lead, requester):
    approval = sealed(remind_half="people", people=[second_lead, requester])
    Membership.objects.filter(user=requester).delete()
    reach(approval)
    reminding.remind_due()
    assert [data["to"] for data in told(approval)] == [[str(second_lead.pk)]]


def test_nobody_is_reminded_where_the_policy_says_so(sealed):
    approval = sealed(remind_half="nobody")
    assert not Reminder.objects.exists()
    end_time(approval)
    assert expiring.expire_due() == 1
    assert state(approval) == "expired"


def test_what_was_decided_meanwhile_needs_no_reminder(sealed, lead):
    approval = sealed()
    reach(approval)
    sign(approval, lead)
    assert reminding.remind_due() == 0
    assert told(approval) == []
    assert not Reminder.objects.exists()


def test_the_end_is_put_off_once_and_then_it_expires(sealed, lead, second_lead):
    approval = sealed(extend_hours=5, people=[second_lead])
    reach(approval, 100)
    assert expiring.expire_due() == 0  # whoever looks first
    assert reminding.remind_due() == 1
    (data,) = told(approval)
    until = approval.expires_at + timedelta(hours=5)
    assert (data["share"], data["to"]) == (100, [str(second_lead.pk)])
    assert data["until"] == until.isoformat()
    assert AuditEntry.objects.get(action="approval.reminded").detail["extended_hours"] == 5
    assert (expiring.expire_due(), reminding.remind_due()) == (0, 0)
    assert [row.pk for row in selectors.needs_you(lead).pending] == [approval.pk]
    end_time(approval, in_seconds=-5 * 3_600)
    assert reminding.remind_due() == 0
    with pytest.raises(ApprovalExpired):
        sign(approval, lead)
    assert expiring.expire_due() == 1
    assert state(approval) == "expired"
    assert not approval.effects.exists()


def test_in_the_time_that_was_added_it_can_be_signed(sealed, lead):
    approval = sealed(extend_hours=5)
    reach(approval, 100)
    reminding.remind_due()
    assert len(told(approval)[0]["to"]) == 2  # nobody is named: all who may sign
    sign(approval, lead)
    assert state(approval) == "approved"


@pytest.mark.parametrize("remind_half", ["nobody", "leads"])
def test_time_alone_never_approves(sealed, remind_half):
    approval = sealed(remind_half=remind_half, extend_hours=1)
    for share in (50, 100):
        reach(approval, share)
        reminding.remind_due()
    end_time(approval, in_seconds=-9_999)
    expiring.expire_due()
    assert state(approval) == "expired"
    assert not approval.signatures.exists()
    assert not approval.effects.exists()


def test_no_clock_runs_under_a_hold(sealed, lead, project):
    approval = sealed(extend_hours=5)
    past_triggers("UPDATE approvals_approval SET requested_at = now() - interval '1 hour'")
    Reminder.objects.filter(share=50).update(due_at=Now() - timedelta(minutes=10))
    hold = holds.place(by=lead, task=approval.task)
    Hold.objects.filter(pk=hold.pk).update(placed_at=Now() - timedelta(minutes=30))
    assert reminding.remind_due() == 0  # ten minutes late, but thirty were held
    Hold.objects.filter(pk=hold.pk).update(placed_at=Now() - timedelta(minutes=5))
    assert reminding.remind_due() == 1


def test_a_policy_that_is_changed_meanwhile_changes_nothing_that_waits(
    sealed, project, lead, second_lead
):
    approval = sealed(remind_half="people", people=[second_lead], extend_hours=5)
    policies.change(project, by=lead, remind_half="nobody", extend_hours=None, people=[lead])
    for share in (50, 100):
        reach(approval, share)
        reminding.remind_due()
    assert [(data["share"], data["to"]) for data in told(approval)] == [
        (50, [str(second_lead.pk)]),
        (100, [str(second_lead.pk)]),
    ]
    assert expiring.expire_due() == 0


def test_a_new_version_keeps_whom_it_reminds(project, lead, second_lead):
    policies.change(project, by=lead, remind_half="people", people=[second_lead])
    new = policies.change(project, by=lead, undo_seconds=60)
    assert (new.remind_half, list(new.remind_people.all())) == ("people", [second_lead])


def test_what_was_sealed_before_reminds_nobody(sealed):
    approval = sealed()
    snapshot = dict(approval.snapshot, policy=dict(approval.snapshot["policy"]))
    del snapshot["policy"]["reminders"]
    assert Required.sealed(snapshot).reminders == Reminders()
    assert Required.sealed(approval.snapshot).reminders.half == "leads"
    assert digest_of(approval.snapshot) == approval.digest


def test_the_database_keeps_one_for_each_share(sealed):
    approval = sealed()
    for facts, by in (
        ({"share": 50}, "one_reminder_per_share"),
        ({"share": 75}, "share_known"),
    ):
        with pytest.raises(IntegrityError, match=by), transaction.atomic():
            Reminder.objects.create(approval=approval, due_at=approval.expires_at, **facts)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Reminder.objects.update(extends=timedelta(hours=1))


@pytest.mark.parametrize("sealed_hours", [None, 5])
def test_the_database_puts_the_end_off_by_what_was_sealed_alone(sealed, sealed_hours):
    approval = sealed(extend_hours=sealed_hours)
    end, more = {"approval": approval, "due_at": approval.expires_at}, timedelta(days=900)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Reminder.objects.filter(approval=approval).update(extends=more)
    Reminder.objects.filter(approval=approval).delete()
    for share in (50, 100):
        with pytest.raises(IntegrityError, match="otherwise than"), transaction.atomic():
            Reminder.objects.create(share=share, extends=more, **end)
    as_sealed = timedelta(hours=5) if sealed_hours else None
    if sealed_hours:
        with pytest.raises(IntegrityError, match="the_end_extends"), transaction.atomic():
            Reminder.objects.create(share=50, extends=as_sealed, **end)
    Reminder.objects.create(share=100, extends=as_sealed, **end)


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_tells_and_nobody_is_told_after_a_decision(sealed, lead):
    for turn in range(6):
        approval = sealed()
        reach(approval)
        acts = [reminding.remind_due, reminding.remind_due]
        if turn % 2:
            acts.append(lambda: sign(approval, lead))  # noqa: B023  # run before the next
        start, failed = Barrier(len(acts)), []

        def run(act, start=start, failed=failed):
            try:
                start.wait()
                act()
            except Exception as error:  # noqa: BLE001  # shown below
                failed.append(error)
            finally:
                connection.close()

        threads = [Thread(target=run, args=[act]) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert failed == []
        assert len(told(approval)) == 1 if turn % 2 == 0 else len(told(approval)) <= 1
        kinds = list(approval.task.events.order_by("seq").values_list("kind", flat=True))
        if Kind.APPROVAL_REMINDED in kinds and Kind.APPROVAL_DECIDED in kinds:
            assert kinds.index(Kind.APPROVAL_REMINDED) < kinds.index(Kind.APPROVAL_DECIDED)


def test_the_review_page_says_who_was_reminded(client, project, requester, lead, second_lead):
    policies.change(project, by=lead, extend_hours=24, people=[second_lead])
    made = fixtures.reviewed_task(project, requester)
    for share in (50, 100):
        reach(made.approval, share)
        reminding.remind_due()
    client.force_login(lead)
    address = reverse("console:review", args=[made.task.number, 1])
    page = " ".join(client.get(address).content.decode().split())
    assert "Reminded Dana Kim and Ravi Singh at 50 % of the time." in page
    assert "Reminded Ravi Singh at 100 % of the time. The time was extended once, by 24 h." in page
    assert "due in 24 h" in page or "due in 23 h" in page or "due in 1 day" in page
    shown = by_session(lead).get(reverse("api:approval", args=[made.approval.pk])).json()
    assert shown["decide_by"] > shown["expires_at"]
    assert shown["policy"]["reminders"]["extend_hours"] == 24
    assert "Reminded 2 people at 50 % of the time to decide" in client.get(
        f"/tasks/{made.task.label}?tab=events"
    ).content.decode().replace("\n", " ")
