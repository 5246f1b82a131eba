"""An allowed call is made exactly once and as it was allowed, whatever crashes and whoever meddles."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from agents.lifecycle import StepState, TaskState
from agents.models import Escalation, Event, Grant, Tool, ToolCall, ToolServer
from approvals import calling, invariants
from approvals.calls import carrying
from approvals.canonical import digest_of
from approvals.models import CallApproval, CallSignature
from projects.models import AuditEntry, Membership
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import decided, park, working_step

pytestmark = pytest.mark.django_db


class _Killed(BaseException):
    """The process ended here."""


def _now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step", "task").get(pk=row.pk)


def _kill(monkeypatch, owner, name, *, after: bool):
    original = getattr(owner, name)

    def die(*args, **kwargs):
        if after:
            original(*args, **kwargs)
        raise _Killed

    monkeypatch.setattr(owner, name, die)


def _make_and_die(monkeypatch, owner, name, *, after: bool):
    with monkeypatch.context() as patch:
        _kill(patch, owner, name, after=after)
        with pytest.raises(_Killed):
            carrying.make_due("first")


def test_killed_between_the_permission_and_the_call_it_is_made_once(
    waiting, server, lead, monkeypatch
):
    decided(waiting, lead)
    _make_and_die(monkeypatch, carrying, "_begins", after=True)
    assert _now(waiting).state == "calling"
    assert carrying.make_due("second") == 1
    assert _now(waiting).call.result == "Paid I-1."
    assert len(server.calls) == 1


def test_killed_after_it_was_sent_a_person_is_asked_and_it_is_not_repeated(
    waiting, server, lead, monkeypatch
):
    decided(waiting, lead)
    _make_and_die(monkeypatch, calling, "_send", after=True)
    carrying.make_due("second")
    row = _now(waiting)
    assert (row.state, row.call.state) == ("unknown", "unknown")
    assert (row.step.state, row.task.state) == (StepState.WAITING_HUMAN, TaskState.NEEDS_HUMAN)
    assert Escalation.objects.get().rule == "unknown_tool_call"
    assert len(server.calls) == 1


def test_killed_after_it_was_sent_an_idempotent_call_is_sent_again_under_its_key(
    tool, server, project, requester, lead, monkeypatch
):
    tool.idempotent = True
    tool.save()
    (row,) = park(working_step(project, requester), "I-1")
    decided(row, lead)
    _make_and_die(monkeypatch, calling, "_send", after=True)
    carrying.make_due("second")
    assert _now(row).call.result == "Paid I-1."
    assert server.paid == {str(row.pk): 900}


def test_killed_before_the_answer_was_stored_nothing_is_told_twice(
    waiting, server, lead, monkeypatch
):
    decided(waiting, lead)
    _make_and_die(monkeypatch, carrying, "_end", after=True)
    assert carrying.make_due("second") == 0
    assert Event.objects.filter(kind="tool.finished").count() == 1
    assert len(server.calls) == 1


def test_an_unknown_call_waits_for_its_siblings_before_it_asks(
    tool, server, project, requester, lead
):
    first, second = park(working_step(project, requester), "A", "B")
    decided(first, lead)
    CallApproval.objects.filter(pk=first.pk).update(state="calling", sent_at=timezone.now())
    carrying.make_due("effects")
    assert not Escalation.objects.exists()
    assert _now(second).call.state == "asked"
    decided(second, lead)
    carrying.make_due("effects")
    assert _now(second).state == "done"
    assert Escalation.objects.get().evidence["calls"] == [str(first.call_id)]


def test_a_tool_that_says_no_is_told_to_the_agent(tool, server, project, requester, lead):
    step = working_step(project, requester)
    (row,) = park(step, "I-1")
    decided(row, lead, edited='{"invoice": "I-1", "cents": -1}')
    carrying.make_due("effects")
    row = _now(row)
    assert (row.state, row.call.state, row.step.state) == ("failed", "failed", "ready")
    assert "less than nothing" in row.call.result


def test_a_call_that_was_sent_and_failed_needs_a_permission_as_well(waiting, server, lead):
    decided(waiting, lead, edited='{"invoice": "I-1", "cents": -1}')
    carrying.make_due("effects")
    assert _now(waiting).state == "failed"
    (check,) = [each for each in invariants.CHECKS if each.name == "call-allowed"]
    assert check.find().count == 0
    past_triggers("DELETE FROM approvals_callsignature")
    assert str(waiting.pk) in str(check.find().shown)


def test_a_call_made_with_no_arguments_is_told_as_it_was_made(
    tool, server, project, requester, lead
):
    Tool.objects.update(input_schema={"type": "object"})
    (row,) = park(working_step(project, requester), "I-1")
    decided(row, lead, edited="{}")
    carrying.make_due("effects")
    assert _now(row).state == "failed"
    assert Event.objects.get(kind="tool.finished").data["arguments"] == {}


def test_what_was_changed_is_told_without_secrets(waiting, server, lead, settings):
    decided(waiting, lead, edited='{"invoice": "old-key-12345678", "cents": 1}')
    settings.OPENAI_API_KEY = "old-key-12345678"
    carrying.make_due("effects")
    told = Event.objects.get(kind="tool.finished").data
    assert told["arguments"]["invoice"] == "[OPENAI_API_KEY removed]"
    assert "old-key-12345678" not in _now(waiting).call.result


def test_a_server_that_is_away_is_told_to_the_agent(waiting, lead):
    ToolServer.objects.update(target="http://127.0.0.1:1/mcp")
    row = CallApproval.objects.get(pk=waiting.pk)
    decided(row, lead)
    carrying.make_due("effects")
    row = _now(row)
    assert (row.state, row.step.state) == ("failed", "ready")
    assert "Nothing was called" in row.call.result


# Attacks: each is tried on an allowed call, and nothing may reach the server.


def _rewrite(row: CallApproval, **facts: object) -> None:
    """Change columns of the sealed row, past its trigger."""
    for name, value in facts.items():
        past_triggers(
            f"UPDATE approvals_callapproval SET {name} = %s WHERE id = %s",  # noqa: S608
            json.dumps(value) if isinstance(value, dict) else value,
            row.pk,
        )


def _other_arguments(row: CallApproval) -> None:
    ToolCall.objects.filter(pk=row.call_id).update(arguments={"invoice": "EVIL", "cents": 900})


def _other_tool(row: CallApproval) -> None:
    ToolCall.objects.filter(pk=row.call_id).update(tool="pay__refund")


def _other_call_id(row: CallApproval) -> None:
    ToolCall.objects.filter(pk=row.call_id).update(call_id="evil")


def _sealed_arguments(row: CallApproval) -> None:
    evil = '{"cents":900,"invoice":"EVIL"}'
    _rewrite(row, snapshot={**row.snapshot, "arguments": evil})


def _sealed_anew(row: CallApproval) -> None:
    evil = {**row.snapshot, "arguments": '{"cents":900,"invoice":"EVIL"}'}
    _other_arguments(row)
    _rewrite(row, snapshot=evil, digest=digest_of(evil))


def _edited_later(row: CallApproval) -> None:
    _rewrite(row, edited='{"cents":900,"invoice":"EVIL"}')


def _other_nonce(row: CallApproval) -> None:
    _rewrite(row, nonce="another")


def _later_expiry(row: CallApproval) -> None:
    past_triggers("UPDATE approvals_callapproval SET expires_at = expires_at + interval '1 day'")


def _single_person(row: CallApproval) -> None:
    _rewrite(row, single_person=True)


def _declared_free(row: CallApproval) -> None:
    past_triggers("DELETE FROM approvals_callsignature")
    free = {**row.snapshot, "free": True}
    _rewrite(row, snapshot=free, digest=digest_of(free), free=True)


def _no_signature(row: CallApproval) -> None:
    past_triggers("DELETE FROM approvals_callsignature")


def _refusal_turned(row: CallApproval) -> None:
    past_triggers("UPDATE approvals_callsignature SET verdict = 'refuse'")


def _forged_mark(row: CallApproval) -> None:
    past_triggers("UPDATE approvals_callsignature SET mark = %s", "A" * 88)


def _no_mark(row: CallApproval) -> None:
    past_triggers("UPDATE approvals_callsignature SET mark = '', key = ''")


def _other_signer(row: CallApproval) -> None:
    other = Membership.objects.get(user__username="ravi").user_id
    past_triggers("UPDATE approvals_callsignature SET signer_id = %s", other)
    _rewrite(row, decided_by_id=other)


def _lead_no_more(row: CallApproval) -> None:
    Membership.objects.filter(user__username="dana").update(role="requester")


def _disabled(row: CallApproval) -> None:
    Membership.objects.get(user__username="dana").user.__class__.objects.update(is_active=False)


def _tool_changed(row: CallApproval) -> None:
    Tool.objects.update(definition_digest="e" * 64)


def _server_moved(row: CallApproval) -> None:
    ToolServer.objects.update(target=ToolServer.objects.get().target + "?elsewhere")


def _tool_off(row: CallApproval) -> None:
    Tool.objects.update(enabled=False)


def _grant_taken_away(row: CallApproval) -> None:
    Grant.objects.all().delete()


@pytest.mark.parametrize(
    "attack",
    [
        _grant_taken_away,
        _other_arguments,
        _other_tool,
        _other_call_id,
        _sealed_arguments,
        _sealed_anew,
        _edited_later,
        _other_nonce,
        _later_expiry,
        _single_person,
        _declared_free,
        _no_signature,
        _refusal_turned,
        _forged_mark,
        _no_mark,
        _other_signer,
        _lead_no_more,
        _disabled,
        _tool_changed,
        _server_moved,
        _tool_off,
    ],
)
def test_nothing_is_called_that_is_not_what_was_allowed(waiting, server, lead, second_lead, attack):
    row = decided(waiting, lead)
    attack(row)
    carrying.make_due("effects")
    assert server.calls == []
    row = _now(row)
    assert row.state == "failed"
    assert row.step.state == StepState.READY


def test_a_call_that_was_made_is_not_made_again_by_setting_its_rows_back(waiting, server, lead):
    decided(waiting, lead)
    carrying.make_due("effects")
    CallApproval.objects.update(state="allowed", sent_at=None, finished_at=None)
    ToolCall.objects.update(state="waiting")
    row = _now(waiting)
    row.step.__class__.objects.filter(pk=row.step_id).update(state="waiting_human")
    carrying.make_due("effects")
    assert len(server.calls) == 1
    assert "The audit log says call.done" in _now(waiting).reason


def test_the_permission_of_one_call_makes_no_other(tool, server, project, requester, lead):
    first, second = park(working_step(project, requester), "A", "B")
    decided(first, lead)
    signature = CallSignature.objects.get()
    past_triggers(
        "UPDATE approvals_callsignature SET approval_id = %s WHERE id = %s",
        second.pk,
        signature.pk,
    )
    past_triggers(
        "UPDATE approvals_callapproval SET state = 'allowed', decided_at = now(), decided_by_id = %s"
        " WHERE id = %s",
        lead.pk,
        second.pk,
    )
    ToolCall.objects.filter(pk=second.call_id).update(state="waiting")
    carrying.make_due("effects")
    assert server.calls == []


def test_every_call_leaves_its_trace_in_the_audit_log(waiting, server, lead):
    decided(waiting, lead)
    carrying.make_due("effects")
    acts = AuditEntry.objects.filter(object_id=str(waiting.pk)).order_by("id")
    assert list(acts.values_list("action", flat=True)) == [
        "call.requested",
        "call.allow",
        "call.done",
    ]
