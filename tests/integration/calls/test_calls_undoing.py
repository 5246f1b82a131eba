"""An allowed call waits for its undo window, and is put before a person again when it is undone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents import holds, stopping
from agents.lifecycle import StepState, TaskState
from agents.models import Grant
from approvals import policies
from approvals.calls import carrying, ending, sealing
from approvals.calls.exceptions import CallMismatch, CallOver, UnknownCall
from approvals.calls.undoing import undo
from approvals.exceptions import UndoRefused
from approvals.models import CallApproval, CallReminder, Remember, StandingUse
from approvals.policies import Rule
from approvals.requirements import Required
from projects.exceptions import NotAllowed
from projects.models import AuditEntry, Membership, Role, User
from tests.call_fixtures import decided, park, waiting_call, working_step
from tests.standing_fixtures import remembered
from tests.worker_fixtures import until

pytestmark = pytest.mark.django_db

LONG = 300


@pytest.fixture
def window(project, lead) -> int:
    """The policy lets every call be undone for as long as it may."""
    policies.change(project, by=lead, call_undo_seconds=LONG, standing_grants=Remember.ANY)
    return LONG


@pytest.fixture
def short(project, lead) -> int:
    """The policy lets every call be undone for a second."""
    policies.change(project, by=lead, call_undo_seconds=1, standing_grants=Remember.ANY)
    return 1


@pytest.fixture
def allowed(window, tool, project, requester, lead) -> CallApproval:
    """A call that was allowed a moment ago."""
    return decided(waiting_call(project, requester), lead)


def now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step", "task").get(pk=row.pk)


def decided_ago(row: CallApproval, seconds: int) -> bool:
    """Tell whether it was decided so long ago, whatever held it."""
    before = Now() - timedelta(seconds=seconds)
    return CallApproval.objects.filter(pk=row.pk, decided_at__lte=before).exists()


# How long it waits


def test_a_call_is_made_at_once_unless_the_policy_says_otherwise(waiting, server, lead):
    assert Required.sealed(waiting.snapshot).undo_seconds == 0
    decided(waiting, lead)
    assert carrying.make_due("effects") == 1
    assert len(server.calls) == 1


def test_the_longest_window_of_all_that_applies_is_sealed(tool, project, requester, lead):
    rules = [
        Rule(name="Paying", tools=["pay/*"], undo_seconds=60),
        Rule(name="Calls", kinds=["mcp.call"], undo_seconds=30),
        Rule(name="At once", tools=["pay/*"], undo_seconds=0, every_file_viewed=True),
        Rule(name="Mails", tools=["mail/*"], undo_seconds=300),
    ]
    policies.change(project, by=lead, call_undo_seconds=5, undo_seconds=200, rules=rules)
    asked = Required.sealed(waiting_call(project, requester).snapshot)
    assert (asked.undo_seconds, asked.rules) == (60, ("Paying", "Calls"))


def test_a_call_is_made_once_its_window_is_over_and_not_before(
    short, tool, server, project, requester, lead
):
    row = decided(waiting_call(project, requester), lead)
    assert row.state == "allowed"
    assert carrying.make_due("effects") == 0
    assert not carrying.make(row.pk, worker="effects")
    until(lambda: carrying.make_due("effects") == 1, seconds=20)
    assert now(row).state == "done"
    assert server.calls == [(str(row.pk), str(row.pk))]
    with pytest.raises(UndoRefused, match="window is over"):
        undo(row.pk, by=lead)


def test_a_free_call_has_no_window(window, tool, server, project, requester):
    tool.read_only = True
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    assert row.free
    assert carrying.make_due("effects") == 1


def test_a_hold_stops_the_window(short, tool, server, project, requester, lead):
    row = decided(waiting_call(project, requester), lead)
    hold = holds.place(by=lead, task=row.task)
    until(lambda: decided_ago(row, 2), seconds=20)
    holds.lift(hold, by=lead)
    assert carrying.make_due("effects") == 0
    again = undo(row.pk, by=lead)
    assert again is not None
    assert server.calls == []


# Undoing


def test_an_undone_call_waits_for_permission_again(allowed, server, lead, second_lead):
    again = undo(allowed.pk, by=second_lead, address="10.0.0.7")
    row, again = now(allowed), now(again)
    assert (row.state, row.reason) == ("withdrawn", "Ravi Singh undid the permission.")
    assert (again.state, again.call.state) == ("pending", "asked")
    assert (again.task.state, again.step.state) == (TaskState.NEEDS_HUMAN, StepState.WAITING_HUMAN)
    assert (again.call_id, again.snapshot["arguments"]) == (row.call_id, row.snapshot["arguments"])
    assert again.nonce != row.nonce
    assert again.digest != row.digest
    assert [row.signatures.count(), again.signatures.count()] == [1, 0]
    assert carrying.make_due("effects") == 0
    assert sealing.seal_waiting() == 0
    with pytest.raises(CallMismatch):
        decided(again, lead, digest=row.digest, nonce=row.nonce)


def test_an_undo_is_audited_told_and_asked_anew(allowed, second_lead):
    again = undo(allowed.pk, by=second_lead, address="10.0.0.7")
    entry = AuditEntry.objects.get(action="call.undone")
    assert (entry.actor, entry.object_id, entry.address) == (
        second_lead,
        str(allowed.pk),
        "10.0.0.7",
    )
    assert entry.detail["sealed_anew"] == str(again.pk)
    told = allowed.task.events.filter(kind="call.decided").order_by("seq").last()
    assert (told.data["verdict"], told.data["by"]) == ("undo", "Ravi Singh")
    asked = allowed.task.events.filter(kind="call.asked").order_by("seq").last()
    assert (asked.data["approval"], asked.seq > told.seq) == (str(again.pk), True)
    assert CallReminder.objects.filter(approval=again).exists()


def test_what_was_undone_is_called_once_when_it_is_allowed_again(
    short, tool, server, project, requester, lead
):
    first = decided(waiting_call(project, requester), lead)
    second = decided(undo(first.pk, by=lead), lead)
    until(lambda: carrying.make_due("effects") == 1, seconds=20)
    assert (now(first).state, now(second).state) == ("withdrawn", "done")
    assert now(second).call.result == "Paid I-1."
    assert now(second).step.state == StepState.READY
    assert server.calls == [(str(second.pk), str(second.pk))]
    assert carrying.make_due("effects") == 0


def test_a_changed_call_is_asked_for_as_the_agent_wrote_it(window, tool, project, requester, lead):
    row = decided(waiting_call(project, requester), lead, edited='{"invoice": "I-2", "cents": 1}')
    again = undo(row.pk, by=lead)
    assert (again.edited, again.original["invoice"]) == ("", "I-1")


def test_several_permissions_are_all_asked_again(
    window, tool, project, requester, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=2)
    row = waiting_call(project, requester)
    decided(row, lead)
    with pytest.raises(UndoRefused, match="not allowed"):
        undo(row.pk, by=lead)
    assert decided(row, second_lead).state == "allowed"
    again = undo(row.pk, by=lead)
    assert decided(again, lead).state == "pending"
    assert decided(again, second_lead).state == "allowed"


def test_an_undo_counts_once(allowed, lead, second_lead):
    again = undo(allowed.pk, by=lead)
    with pytest.raises(UndoRefused, match="undid it already"):
        undo(allowed.pk, by=second_lead)
    with pytest.raises(UndoRefused, match="not allowed"):
        undo(again.pk, by=second_lead)
    assert CallApproval.objects.count() == 2


def test_an_undo_leaves_siblings_as_they_are(window, tool, project, requester, lead):
    first, second = park(working_step(project, requester), "A", "B")
    decided(first, lead)
    decided(second, lead)
    undo(first.pk, by=lead)
    assert now(second).state == "allowed"


def test_a_stopped_call_is_not_undone(allowed, requester, lead):
    stopping.stop(allowed.task, by=requester)
    with pytest.raises(UndoRefused, match="stopped"):
        undo(allowed.pk, by=lead)
    assert ending.withdraw_stopped() == 1
    with pytest.raises(UndoRefused, match="stopped"):
        undo(allowed.pk, by=lead)
    assert CallApproval.objects.count() == 1


def test_an_undone_call_whose_tool_is_gone_is_answered_so(allowed, lead):
    Grant.objects.all().delete()
    assert undo(allowed.pk, by=lead) is None
    row = now(allowed)
    assert (row.state, row.call.state, row.step.state) == ("withdrawn", "refused", "ready")
    assert "not offered" in row.call.result


def test_what_needs_no_permission_by_now_asks_all_the_same_when_undone(allowed, tool, server, lead):
    tool.read_only = True
    tool.save()
    again = undo(allowed.pk, by=lead)
    assert (again.state, again.free) == ("pending", False)
    assert carrying.make_due("effects") == 0
    assert server.calls == []


def test_who_decides_on_what_was_undone_is_told_so(allowed, lead, second_lead):
    undo(allowed.pk, by=lead)
    said = "This was withdrawn: Dana Kim undid the permission. Your decision changed nothing."
    with pytest.raises(CallOver) as refused:
        decided(allowed, second_lead)
    assert str(refused.value) == said


# Standing grants


def test_an_undo_revokes_the_standing_grant_made_with_the_permission(
    window, tool, project, requester, lead, second_lead
):
    grant = remembered(waiting_call(project, requester), lead)
    again = undo(grant.origin_id, by=second_lead)
    grant.refresh_from_db()
    assert grant.revoked_by == second_lead
    assert again.state == "pending"
    assert AuditEntry.objects.get(action="call.undone").detail["revoked"] == [str(grant.pk)]
    told = AuditEntry.objects.filter(object_id__in=[grant.pk, grant.origin_id, again.pk])
    # The log is locked by its first entry: by then the call is sealed anew.
    assert list(told.order_by("id").values_list("action", flat=True))[-3:] == [
        "call.requested",
        "standing_grant.revoked",
        "call.undone",
    ]


def test_a_grant_lets_nothing_through_before_what_made_it_cannot_be_undone(
    short, tool, server, project, requester, lead
):
    grant = remembered(waiting_call(project, requester), lead, widened={})
    (early,) = park(working_step(project, requester), "I-1")
    assert early.state == "pending"
    until(lambda: decided_ago(grant.origin, 1), seconds=20)
    (late,) = park(working_step(project, requester), "I-1")
    assert (late.state, StandingUse.objects.get().approval_id) == ("allowed", late.pk)


def test_a_stop_brings_a_grant_into_force_no_sooner(window, tool, server, project, requester, lead):
    grant = remembered(waiting_call(project, requester), lead, widened={})
    stopping.stop(grant.origin.task, by=lead)
    ending.withdraw_left()
    assert now(grant.origin).state == "withdrawn"
    (early,) = park(working_step(project, requester), "I-1")
    assert early.state == "pending"


def test_what_a_standing_grant_lets_through_has_no_window(
    short, tool, server, project, requester, lead
):
    grant = remembered(waiting_call(project, requester), lead, widened={})
    until(lambda: decided_ago(grant.origin, 1), seconds=20)
    policies.change(project, by=lead, call_undo_seconds=LONG)
    (row,) = park(working_step(project, requester), "I-1")
    assert Required.sealed(row.snapshot).undo_seconds == LONG
    assert carrying.make(row.pk, worker="effects")
    with pytest.raises(UndoRefused):
        undo(row.pk, by=lead)


def test_no_standing_grant_lets_through_what_was_undone(
    window, tool, server, project, requester, lead
):
    row = decided(waiting_call(project, requester), lead)
    policies.change(project, by=lead, call_undo_seconds=1)
    grant = remembered(waiting_call(project, requester), lead, widened={})
    until(lambda: decided_ago(grant.origin, 1), seconds=20)
    again = undo(row.pk, by=lead)
    assert again.state == "pending"
    assert not StandingUse.objects.exists()


# Who may


def test_who_may_not_decide_may_not_undo(allowed, requester, lead, project):
    member = User.objects.create_user("mel")
    Membership.objects.create(user=member, project=project, role=Role.REQUESTER)
    for person in (requester, member):
        with pytest.raises(NotAllowed):
            undo(allowed.pk, by=person)
    with pytest.raises(UnknownCall):
        undo(allowed.pk, by=User.objects.create_user("stranger"))
    with pytest.raises(NotAllowed, match="token"):
        undo(allowed.pk, by=lead, via="token")
    assert now(allowed).state == "allowed"


def test_who_allowed_it_and_lost_the_role_may_not_undo(allowed, lead, project):
    Membership.objects.filter(user=lead, project=project).update(role=Role.REQUESTER)
    with pytest.raises(NotAllowed):
        undo(allowed.pk, by=lead)
