"""What is stopped, held or sent again while a call is on its way: not called, or told as it was."""

from __future__ import annotations

import pytest
from django.db import connection

from agents import holds, reopening, stopping
from agents.finishing import settle
from agents.lifecycle import StepState, TaskState
from agents.models import Event, Step, Task, ToolCall
from agents.runtime.contract import Waits
from approvals import calling
from approvals.calls import carrying, ending, selectors
from approvals.models import CallApproval
from projects.across import Mine
from projects.models import AuditEntry
from tests.call_fixtures import call, decided, park, working_step

pytestmark = pytest.mark.django_db


class _Killed(BaseException):
    """The process ended here."""


def _now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step", "task").get(pk=row.pk)


def _stop(row: CallApproval) -> None:
    stopping.stop(_now(row).task, by=row.requester)


def _instead(monkeypatch, owner, name, *, first=None, then=None):
    """Do something around a step of the call, as another process would."""
    original = getattr(owner, name)

    def around(*args):
        if first:
            first()
        answer = original(*args)
        if then:
            then()
        return answer

    monkeypatch.setattr(owner, name, around)


def _die():
    raise _Killed


def _make_and_die(monkeypatch, owner, name):
    with monkeypatch.context() as patch:
        _instead(patch, owner, name, then=_die)
        with pytest.raises(_Killed):
            carrying.make_due("first")


@pytest.fixture
def begun(waiting, server, lead, monkeypatch) -> CallApproval:
    """Return a call whose maker was killed before it was sent."""
    decided(waiting, lead)
    _make_and_die(monkeypatch, carrying, "_begins")
    row = _now(waiting)
    assert (row.state, row.sent_at) == ("calling", None)
    return row


@pytest.fixture
def agent_hold(waiting, lead):
    """Return what holds the agent of the call."""
    lead.is_staff = True
    lead.save()
    return lambda: holds.place(by=lead, agent=waiting.step.agent)


def test_a_call_begun_before_a_crash_is_not_made_when_its_task_was_stopped(begun, server):
    _stop(begun)
    carrying.make_due("second")
    assert server.requests == 0
    assert ending.withdraw_stopped() == 1
    row = _now(begun)
    assert (row.state, row.call.state) == ("withdrawn", "refused")
    assert AuditEntry.objects.filter(action="call.withdrawn", object_id=str(row.pk)).exists()
    carrying.make_due("second")
    assert server.requests == 0


def test_a_call_begun_before_a_crash_waits_for_the_hold_on_its_agent(
    begun, server, agent_hold, lead
):
    hold = agent_hold()
    assert carrying.make_due("second") == 0
    assert not carrying.make(begun.pk, worker="second")
    assert server.requests == 0
    holds.lift(hold, by=lead)
    assert carrying.make_due("second") == 1
    assert _now(begun).state == "done"
    assert len(server.calls) == 1


def test_a_task_stopped_just_before_the_call_is_sent_calls_nothing(
    waiting, server, lead, monkeypatch
):
    decided(waiting, lead)
    _instead(monkeypatch, carrying._Sending, "note_sent", first=lambda: _stop(waiting))
    carrying.make_due("effects")
    assert server.calls == []
    assert ending.withdraw_stopped() == 1
    assert _now(waiting).state == "withdrawn"


def test_an_agent_held_just_before_the_call_is_sent_calls_when_it_goes_on(
    waiting, server, lead, monkeypatch, agent_hold
):
    decided(waiting, lead)
    with monkeypatch.context() as patch:
        _instead(patch, carrying._Sending, "note_sent", first=agent_hold)
        carrying.make_due("effects")
    assert server.calls == []
    assert _now(waiting).state == "calling"
    assert ending.withdraw_stopped() == 0
    holds.lift(agent_hold(), by=lead)
    carrying.make_due("effects")
    assert _now(waiting).state == "done"
    assert len(server.calls) == 1


def test_a_task_stopped_while_the_tool_is_called_says_that_it_was(
    waiting, server, lead, monkeypatch
):
    decided(waiting, lead)
    _instead(monkeypatch, calling, "_send", then=lambda: _stop(waiting))
    carrying.make_due("effects")
    row = _now(waiting)
    assert (row.state, row.call.state, row.call.result) == ("done", "done", "Paid I-1.")
    assert (row.step.state, row.task.state) == (StepState.CANCELLED, TaskState.CANCELLED)
    told = Event.objects.get(task=row.task, kind="tool.finished")
    assert (told.data["state"], told.data["summary"]) == ("done", "Paid I-1.")


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_task_stopped_after_a_crash_says_that_the_call_may_have_landed(
    waiting, tool, server, project, requester, lead, monkeypatch, idempotent
):
    tool.idempotent = idempotent
    tool.save()
    (row,) = park(working_step(project, requester), "I-2")
    decided(row, lead)
    _make_and_die(monkeypatch, calling, "_send")
    _stop(row)
    carrying.make_due("second")
    assert len(server.calls) == 1
    assert ending.withdraw_stopped() == 0
    row = _now(row)
    assert (row.state, row.call.state) == ("unknown", "unknown")
    assert "Nothing was called" not in row.call.result + row.reason
    assert Event.objects.get(task=row.task, kind="tool.finished").data["state"] == "unknown"


def test_a_step_sent_again_takes_its_calls_with_it(tool, server, project, requester, lead):
    first, second = park(working_step(project, requester), "A", "B")
    decided(first, lead)
    again = reopening.reopen(_now(first).step, note="Ask for the invoice.", by=requester)
    assert again.state == StepState.READY
    assert _now(first).step.state == StepState.CANCELLED
    assert ending.withdraw_stopped() == 2
    assert {_now(row).state for row in (first, second)} == {"withdrawn"}
    assert {_now(row).call.state for row in (first, second)} == {"refused"}
    assert _now(first).task.state == TaskState.WORKING
    assert selectors.waiting(lead.pk, Mine.of(lead)).count(5) == 0
    assert carrying.make_due("effects") == 0
    assert server.requests == 0


def test_a_call_left_open_by_a_step_that_is_over_is_withdrawn(waiting, lead):
    Step.objects.filter(pk=waiting.step_id).update(state=StepState.CANCELLED)
    assert ending.withdraw_stopped() == 0
    assert ending.withdraw_left() == 1
    row = _now(waiting)
    assert (row.state, row.call.state) == ("withdrawn", "refused")
    assert row.task.state == TaskState.WORKING


def test_what_is_stopped_is_noticed_once_and_looked_for_no_more(waiting, lead):
    _stop(waiting)
    assert ToolCall.objects.get(pk=waiting.call_id).withdrawn
    assert ending.withdraw_stopped() == 1
    assert not ToolCall.objects.filter(withdrawn=True).exists()
    assert ending.withdraw_stopped() == ending.withdraw_left() == 0
    assert AuditEntry.objects.filter(action="call.withdrawn").count() == 1


def test_a_call_stopped_before_it_was_sealed_leaves_no_mark(tool, project, requester):
    step = working_step(project, requester)
    call(step, "I-1")
    assert settle(step.attempts.get(number=step.attempt), Waits())
    stopping.stop(Task.objects.get(pk=step.task_id), by=requester)
    assert ending.withdraw_stopped() == 0
    assert not ToolCall.objects.filter(withdrawn=True).exists()


def test_looking_for_what_was_stopped_reads_none_of_what_waits(waiting, django_assert_num_queries):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = ToolCall.objects.filter(withdrawn=True).order_by("id").values("pk").explain()
    assert "tool_call_withdrawn" in plan
    with django_assert_num_queries(1):
        assert ending.withdraw_stopped() == 0
