"""What an event means to people: which kind of notice it makes, and the few facts it may carry."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime

from agents.lifecycle import TaskState
from agents.models.tasks import Rule
from agents.storable import text
from approvals.lifecycle import ApprovalState
from approvals.models import EffectKind
from notices.models import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from django.db.models import TextChoices

    from agents.models import Event

REQUESTED, REMINDED, ASSIGNED = "approval.requested", "approval.reminded", "approval.assigned"
DECIDED, EFFECT, RAISED = "approval.decided", "effect.finished", "escalation.raised"
EXPIRED = "expired"  # of an approval that was decided by nobody
CALL, CALL_DECIDED, SIGNED = "call.asked", "call.decided", "approval.signed"
FINISHED, RESOLVED = "task.finished", "escalation.resolved"
LONGEST_NAME = 80
_VERDICTS = frozenset({"approve", "request_changes", "reject", "undo"})


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One event somebody may be told of."""

    event: Event
    kind: Kind
    facts: dict[str, Any] = field(default_factory=dict)
    approval: uuid.UUID | None = None  # of a tool call where the event is of one

    @property
    def transaction(self) -> tuple[Any, ...]:
        """What it shares with the other events of one act."""
        return (self.event.task_id, self.event.xact)


def moment_of(event: Event) -> Moment | None:
    """Return what an event means to people, None where it means nothing to them."""
    data = event.data if isinstance(event.data, dict) else {}
    read = _READ.get(event.kind)
    facts = read(data) if read else None
    if facts is None:
        return None
    approval = key_of(data.get("approval"))
    return Moment(event=event, kind=_kind_of(event, facts), facts=facts, approval=approval)


def _kind_of(event: Event, facts: dict[str, Any]) -> Kind:
    """Return by what people choose; what nobody decided in time waits until somebody asks again."""
    return Kind.STUCK if facts.get("state") == EXPIRED else _KINDS[event.kind]


def told_once(moments: Sequence[Moment]) -> set[int]:
    """Return the events people are spared: of the outcomes of one act they are told of one.

    A reject is decided and finishes the task; the last effect does too. Machines are told of each.
    """
    best: dict[tuple[Any, ...], Moment] = {}
    for moment in _outcomes(moments):
        other = best.get(moment.transaction)
        if other is None or _weight(moment) >= _weight(other):
            best[moment.transaction] = moment
    kept = {moment.event.pk for moment in best.values()}
    return {moment.event.pk for moment in _outcomes(moments)} - kept


def key_of(given: object) -> uuid.UUID | None:
    """Return the key an event names, if it is one."""
    try:
        return uuid.UUID(given) if isinstance(given, str) else None
    except ValueError:
        return None


def moment_named(given: object) -> datetime | None:
    """Return the moment an event names, if it is one."""
    try:
        moment = parse_datetime(given) if isinstance(given, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _outcomes(moments: Iterable[Moment]) -> list[Moment]:
    return [moment for moment in moments if moment.kind == Kind.OUTCOME]


def _weight(moment: Moment) -> int:
    return (EFFECT, FINISHED, DECIDED).index(moment.event.kind)


def _requested(data: dict[str, Any]) -> dict[str, Any]:
    return {}


def _reminded(data: dict[str, Any]) -> dict[str, Any] | None:
    share, until = data.get("share"), data.get("until")
    if share not in (50, 100):
        return None
    return {"share": share} | ({"until": until} if moment_named(until) else {})


def _assigned(data: dict[str, Any]) -> dict[str, Any]:
    return _by(data)


def _decided(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a person decided or undid, or that nobody did; stale ones are put up again unasked."""
    if data.get("verdict") in _VERDICTS:
        return {"verdict": data["verdict"], **_by(data)}
    return {"state": EXPIRED} if data.get("state") == ApprovalState.EXPIRED else None


def _effect(data: dict[str, Any]) -> dict[str, Any]:
    return {"failed": bool(data.get("error")), "effect": _known(data.get("kind"), EffectKind)}


def _raised(data: dict[str, Any]) -> dict[str, Any]:
    return {"rule": data["rule"]} if data.get("rule") in Rule.values else {}


def _finished(data: dict[str, Any]) -> dict[str, Any]:
    return {"state": _known(data.get("state"), TaskState), **_by(data)}


def _by(data: dict[str, Any]) -> dict[str, Any]:
    name = data.get("by")
    return {"by": text(name)[:LONGEST_NAME]} if isinstance(name, str) and name else {}


def _known(value: Any, words: type[TextChoices]) -> str:
    """Return a word of ours; anything else might be somebody's text."""
    return value if value in words.values else ""


_KINDS = {
    REQUESTED: Kind.ASKED,
    ASSIGNED: Kind.ASKED,
    CALL: Kind.ASKED,
    REMINDED: Kind.DUE,
    RAISED: Kind.STUCK,
    DECIDED: Kind.OUTCOME,
    EFFECT: Kind.OUTCOME,
    FINISHED: Kind.OUTCOME,
}
_READ: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    REQUESTED: _requested,
    ASSIGNED: _assigned,
    CALL: _requested,
    REMINDED: _reminded,
    RAISED: _raised,
    DECIDED: _decided,
    EFFECT: _effect,
    FINISHED: _finished,
}
# What ends a question, so that whoever was asked need not look any more; a signature does for its signer.
SETTLING = frozenset({REQUESTED, SIGNED, DECIDED, CALL_DECIDED, RESOLVED, FINISHED})
HEARD = frozenset(_READ) | SETTLING
