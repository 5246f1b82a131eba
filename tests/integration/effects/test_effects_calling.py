"""A signed tool call reaches a real MCP server under its key, and is never done twice."""

from __future__ import annotations

import json

import pytest

from agents import holds
from agents.models import Escalation, Tool, ToolServer
from approvals import calling, canonical, effects, sealing
from approvals.models import Approval
from projects.models import Membership
from tests.approval_fixtures import approve, make_report, past_triggers
from tests.clinging_server import ClingingServer
from tests.tool_server import PayServer

pytestmark = pytest.mark.django_db


class _Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def server():
    with PayServer() as running:
        yield running


@pytest.fixture
def tool(server) -> Tool:
    return _tool(server.url)


def _tool(url: str, *, idempotent: bool = True) -> Tool:
    row = ToolServer.objects.create(slug="pay", name="Pay", transport="http", target=url)
    return Tool.objects.create(
        server=row, name="pay", idempotent=idempotent, definition_digest="d" * 64
    )


@pytest.fixture
def signed(project, requester, lead, bare):
    def sign(tool: Tool, **arguments: object):
        """Seal a report and put the call in its place: nothing proposes calls yet."""
        given = {"invoice": "I-1", "cents": 900, **arguments}
        approval = sealing.seal(make_report(project, requester))
        snapshot = {**approval.snapshot, "effects": [calling.sealed_call(tool, given)]}
        past_triggers(
            "UPDATE approvals_approval SET snapshot = %s::jsonb, digest = %s WHERE id = %s",
            json.dumps(snapshot),
            canonical.digest_of(snapshot),
            approval.pk,
        )
        return approve(Approval.objects.get(pk=approval.pk), lead)

    return sign


def _killed_after_the_answer(monkeypatch):
    original = calling._send

    def die(effect):
        original(effect)
        raise _Killed

    monkeypatch.setattr(calling, "_send", die)


def test_signed_call_is_sent_with_the_effects_id_as_key(server, tool, signed):
    effect = signed(tool)
    assert effects.carry_out_due("worker") == 1
    effect.refresh_from_db()
    assert (effect.state, effect.result["text"]) == ("done", "Paid I-1.")
    assert server.calls == [(str(effect.pk), str(effect.pk))]
    effect.approval.task.refresh_from_db()
    assert effect.approval.task.state == "done"


def test_killed_between_send_and_confirm_is_done_exactly_once(server, tool, signed, monkeypatch):
    effect = signed(tool)
    with monkeypatch.context() as patch:
        _killed_after_the_answer(patch)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-1")
    effect.refresh_from_db()
    assert effect.state == "doing"
    effects.carry_out_due("worker-2")
    effect.refresh_from_db()
    assert effect.state == "done"
    assert server.calls == [(str(effect.pk), str(effect.pk))] * 2  # one key, so the other side
    assert server.paid == {str(effect.pk): 900}  # did it once


def test_call_held_before_it_is_sent_goes_out_when_the_hold_is_lifted(
    server, tool, signed, lead, monkeypatch
):
    effect = signed(tool)
    same, placed = calling.require_same_tool, []

    def placing(sealed):
        placed.append(holds.place(by=lead, task=effect.approval.task))
        same(sealed)

    with monkeypatch.context() as patch:
        patch.setattr(calling, "require_same_tool", placing)
        effects.carry_out_due("worker-1")
    effects.carry_out_due("worker-2")
    effect.refresh_from_db()
    assert (effect.state, effect.sent_at, server.calls) == ("doing", None, [])
    holds.lift(placed[0], by=lead)
    effects.carry_out_due("worker-3")
    effect.refresh_from_db()
    assert (effect.state, len(server.calls)) == ("done", 1)


@pytest.mark.parametrize("good_bye", ["at once", "never", "headers", "body"])
def test_a_server_keeps_nobody_who_has_its_answer(signed, good_bye):
    with ClingingServer(good_bye) as server:
        effect = signed(_tool(server.url))
        effects.carry_out_due("worker")
        assert server.left.wait(20)
    effect.refresh_from_db()
    assert (effect.state, effect.result["text"]) == ("done", "Paid.")


def test_tool_that_is_not_idempotent_is_never_sent_twice(server, signed, monkeypatch):
    effect = signed(_tool(server.url, idempotent=False))
    with monkeypatch.context() as patch:
        _killed_after_the_answer(patch)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-1")
    effects.carry_out_due("worker-2")
    effect.refresh_from_db()
    assert (effect.state, len(server.calls)) == ("unknown", 1)
    asked = Escalation.objects.get(task=effect.approval.task)
    assert (asked.rule, "may have landed" in asked.detail) == ("effect_failed", True)


@pytest.mark.parametrize("lost", ["the role", "the tool"])
def test_a_call_that_was_sent_is_not_signed_again_unseen(
    server, tool, signed, lead, monkeypatch, lost
):
    effect = signed(tool)
    with monkeypatch.context() as patch:
        _killed_after_the_answer(patch)
        with pytest.raises(_Killed):
            effects.carry_out_due("worker-1")
    if lost == "the role":
        Membership.objects.filter(user=lead).update(role="requester")
    else:
        Tool.objects.filter(pk=tool.pk).update(enabled=False)
    effects.carry_out_due("worker-2")
    effect.refresh_from_db()
    effect.approval.refresh_from_db()
    assert (effect.state, effect.approval.state) == ("unknown", "approved")
    assert len(server.calls) == 1
    asked = Escalation.objects.get(task=effect.approval.task)
    assert "may have landed" in asked.detail


def test_tool_that_says_no_has_failed_and_a_person_is_asked(server, tool, signed):
    effect = signed(tool, cents=-1)
    effects.carry_out_due("worker")
    effect.refresh_from_db()
    assert (effect.state, server.paid) == ("failed", {})
    assert "less than nothing" in effect.error


def test_call_does_not_follow_to_another_address(server, signed):
    with PayServer(elsewhere=server.url) as leading:
        effect = signed(_tool(leading.url))
        effects.carry_out_due("worker")
    effect.refresh_from_db()
    assert (effect.state, server.requests) == ("failed", 0)
    assert leading.requests > 0
    assert "Nothing was called" in effect.error


@pytest.mark.parametrize(
    "change",
    [{"definition_digest": "e" * 64}, {"enabled": False}, {"idempotent": False}],
)
def test_tool_that_is_not_as_signed_is_not_called(server, tool, signed, change):
    effect = signed(tool)
    Tool.objects.filter(pk=tool.pk).update(**change)
    effects.carry_out_due("worker")
    effect.refresh_from_db()
    effect.approval.refresh_from_db()
    assert (effect.state, effect.approval.state) == ("failed", "stale")
    assert server.requests == 0


def test_answer_that_is_too_large_is_no_answer(server, signed, monkeypatch):
    monkeypatch.setattr(calling, "RESPONSE_BYTES", 20)
    effect = signed(_tool(server.url))
    effects.carry_out_due("worker")
    effect.refresh_from_db()
    assert effect.state == "failed"  # already the greeting was too long


def test_a_done_call_that_is_planned_again_by_hand_is_not_made_again(server, tool, signed):
    effect = signed(tool)
    effects.carry_out_due("worker")
    past_triggers("UPDATE approvals_effect SET state = 'planned', result = '{}', sent_at = NULL")
    past_triggers("UPDATE agents_task SET state = 'executing', finished_at = NULL")
    effects.carry_out_due("worker")
    effect.refresh_from_db()
    assert len(server.calls) == 1
    assert effect.state == "failed"
    assert "The audit log says effect.done of this" in effect.error
    assert "compare them with the audit log" in Escalation.objects.get().detail
