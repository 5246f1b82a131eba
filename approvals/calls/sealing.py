"""Seals the calls of tools outside that steps wait for, and puts them before a person."""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from agents import grants, permitting
from agents.events import Kind
from agents.lifecycle import AttemptState, StepState, ToolCallState
from agents.models import Attempt, Event, ToolCall
from approvals import calling, policies, reminding, requirements
from approvals.calls import arguments
from approvals.canonical import digest_of
from approvals.deadlines import database_now
from approvals.lifecycle import CallState
from approvals.models import CallApproval
from approvals.models.calls import risk_of
from approvals.standing import using
from projects import audit

if TYPE_CHECKING:
    import uuid

    from agents.models import Tool
    from agents.permitting import Held
    from approvals.models import Policy, StandingGrant

logger = logging.getLogger(__name__)

MOST = 50  # in one turn
_WORDS = 4_000  # characters of what the agent said with the call
_TOO_LONG = (
    f"The arguments are longer than {arguments.MAX_CHARACTERS:,} characters or nested deeper than "
    f"{arguments.MAX_DEPTH} levels, more than a person can be shown. Nothing was called; call it with "
    "less."
)
_NO_SCHEMA = (
    "The definition of this tool is nested so deep that it cannot be shown to a person. Nothing was "
    "called; go on without it."
)
_NOT_OFFERED = "This tool is not offered to you any more. Nothing was called."


def seal_waiting(limit: int = MOST) -> int:
    """Seal every call a parked step waits for; return how many. Two processes: each seals once.

    One that cannot be sealed is answered with that, so that it keeps no other waiting.
    """
    asking = Attempt.objects.filter(
        step=OuterRef("attempt__step"),
        number=OuterRef("attempt__step__attempt"),
        state=AttemptState.ASKING,
    )
    rows = ToolCall.objects.filter(
        Exists(asking),
        state=ToolCallState.WAITING,
        approvals=None,
        attempt__step__state=StepState.WAITING_HUMAN,
    )
    found = list(rows.order_by("id").values_list("pk", flat=True)[:limit])
    return sum(_seal_or_answer(call) for call in found)


def _seal_or_answer(call: uuid.UUID) -> bool:
    """Seal one; what cannot be is answered so, and holds up no other."""
    try:
        return seal(call)
    except (OperationalError, InterfaceError):
        raise  # the database is away, no call is wrong
    except Exception as fault:
        logger.exception("call %s cannot be sealed", call)
        told = f"A fault in Countersign: {type(fault).__name__}. Nothing was called."
    with permitting.held(call) as held:
        if not _waits(held):
            return False
        permitting.answer(held, ToolCallState.FAILED, told, told)
    return True


def seal(call_id: uuid.UUID) -> bool:
    """Seal one call; False when somebody was faster. What cannot be sealed is answered with why."""
    with permitting.held(call_id) as held:
        if not _waits(held):
            return False
        _seal(held)
    return True


def seal_again(held: Held) -> CallApproval | None:
    """Put a call whose permission was undone before a person again, whatever would let it through.

    In the transaction that undoes it. None when it cannot be sealed: it is answered with why.
    """
    return _seal(held, asks=True)


def executed(snapshot: dict[str, Any], edited: str) -> dict[str, Any]:
    """Return what a signature covers: the snapshot with the arguments that are called."""
    if not edited:
        return snapshot
    return {**snapshot, "arguments": edited, "asked": snapshot["arguments"]}


def covered(approval: CallApproval) -> str:
    """Return the digest a decision names and a signature covers: of what would be called now."""
    return digest_of(executed(approval.snapshot, approval.edited))


def _waits(held: Held) -> bool:
    sealed = CallApproval.objects.filter(call=held.call).exists()
    newest = held.step.attempts.order_by("-number").first()
    parked = newest is not None and newest.state == AttemptState.ASKING
    return held.waits and parked and not sealed and held.call.state == ToolCallState.WAITING


def _tool(held: Held) -> Tool | None:
    """Return the tool, if it is still offered to the agent."""
    call = held.call
    return grants.outside(held.step.agent_id, call.server, grants.name_at(call.server, call.tool))


def _written(call: ToolCall) -> str | None:
    try:
        text = arguments.written(call.arguments)
    except ValueError:
        return None
    return text if len(text) <= arguments.MAX_CHARACTERS else None


def _seal(held: Held, *, asks: bool = False) -> CallApproval | None:
    """Seal it, or answer it with why it cannot be; with `asks` a person decides in any case."""
    tool = _tool(held)
    text = _written(held.call)
    if tool is None or text is None or not arguments.is_readable(tool.input_schema):
        told = _NOT_OFFERED if tool is None else _TOO_LONG if text is None else _NO_SCHEMA
        permitting.answer(held, ToolCallState.REFUSED, told, told)
        return None
    return _write(held, tool, text, asks=asks)


def _write(held: Held, tool: Tool, text: str, *, asks: bool) -> CallApproval:
    free = not (tool.needs_permission or asks)
    row = _sealed(held, _snapshot(held, tool, text, free=free))
    grant = None if row.free or asks else using.count(row)
    if row.free or grant is not None:
        row.state, row.decided_at = CallState.ALLOWED, Now()
    if grant is not None:
        row.decided_by = grant.granted_by
    row.save(force_insert=True)
    if grant is not None:
        _let_through(held, row, grant)
    elif not row.free:
        _ask(held, row, tool)
    return row


def _sealed(held: Held, snapshot: dict[str, Any]) -> CallApproval:
    return CallApproval(
        project=held.task.project,
        task=held.task,
        step=held.step,
        call=held.call,
        requester=held.task.requester,
        single_person=snapshot["single_person"],
        free=snapshot["free"],
        snapshot=snapshot,
        digest=digest_of(snapshot),
        nonce=snapshot["nonce"],
        expires_at=datetime.fromisoformat(snapshot["expires_at"]),
    )


def _let_through(held: Held, row: CallApproval, grant: StandingGrant) -> None:
    """Tell the task by whose standing grant a call is made, and count the use of it."""
    told = {"by": grant.granted_by.display_name, "note": "", "standing_grant": str(grant.pk)}
    count = {"number": grant.hits, "of": grant.max_hits}
    held.task.record(Kind.CALL_DECIDED, {**facts_of(row), **told, **count}, step=held.step)
    using.write(row, grant)


def _ask(held: Held, row: CallApproval, tool: Tool) -> None:
    permitting.ask(held, facts_of(row))
    reminding.plan_call(row, database_now())
    audit.record(
        "call.requested",
        subject=row,
        actor=None,
        project=held.task.project,
        digest=row.digest,
        task=held.task.label,
        tool=str(tool),
    )


def facts_of(row: CallApproval) -> dict[str, Any]:
    """Return what events say of a call: never its arguments, which its own events hold."""
    call = row.snapshot["call"]
    facts = {"approval": str(row.pk), "call": str(row.call_id), "state": str(row.state)}
    return facts | {"server": call["server"], "tool": call["tool"]}


def _snapshot(held: Held, tool: Tool, text: str, *, free: bool) -> dict[str, Any]:
    task, step, call = held.task, held.step, held.call
    policy = policies.active_policy(task.project)
    sealed = calling.sealed_call(tool, {})
    del sealed["arguments"]
    snapshot = {
        "says": "countersign.call.1",
        "call": sealed,
        "arguments": text,
        "free": free,
        "tool": {
            "offered": call.tool,
            "server": tool.server.name,
            "description": tool.description,
            "schema": arguments.plainly(tool.input_schema),
            "read_only": tool.read_only,
        },
        "task": {"id": str(task.pk), "label": task.label, "title": task.title},
        "step": {"id": str(step.pk), "key": step.key, "title": step.title},
        "agent": {"slug": step.agent.slug, "name": step.agent.name, "version": step.version.number},
        "ledger": {"id": str(call.pk), "call_id": call.call_id, "response": call.response},
        "said": _said(held),
        "project": {"id": str(task.project_id), "name": task.project.name},
        "requester": {"id": str(task.requester_id), "name": task.requester.display_name},
        "single_person": task.project.single_person,
        "nonce": secrets.token_urlsafe(24),
    }
    return snapshot | _terms(policy, snapshot)


def _terms(policy: Policy, snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return what the policy asks of a call: nobody is asked of one that is free."""
    told = {"id": str(policy.pk), "version": policy.version}
    hours = policy.expires_hours
    if not snapshot["free"]:
        rules = policies.rules_of([policy])[policy.pk]
        required = requirements.of_call(policy, rules, snapshot, risk=risk_of(snapshot))
        told |= required.seal()
        hours = required.expires_hours
    ends = database_now() + timedelta(hours=hours)
    return {"policy": told, "expires_at": ends.isoformat()}


def _said(held: Held) -> str:
    """Return what the model said in the turn that made the call."""
    turn = {"from": "agent", "turn": held.call.response + 1}
    said = Event.objects.filter(
        task=held.task, step=held.step, kind=Kind.MESSAGE, data__contains=turn
    )
    text = said.order_by("-seq").values_list("data__text", flat=True).first() or ""
    return text if len(text) <= _WORDS else f"{text[:_WORDS]}…"
