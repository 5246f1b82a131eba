"""Makes the calls that may be made: intent on record, call, answer; after a crash never blindly."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, IntegrityError
from django.db.models import F, Q, Window
from django.db.models.functions import Now, RowNumber

from agents import holds, permitting
from agents.lifecycle import ToolCallState
from agents.runtime.redaction import clean, cleaned
from approvals import calling
from approvals.alone import alone
from approvals.calls import arguments, verifying, windows
from approvals.exceptions import NotCarriedOut, NotNow, Refused, Uncertain
from approvals.lifecycle import CallState
from approvals.models import CallApproval
from approvals.standing import using
from projects import audit
from projects.exceptions import TransitionRefused
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from agents.permitting import Held
    from approvals.hands import Hands

logger = logging.getLogger(__name__)

_BATCH = 50
_EACH = 10  # of one server in one turn
_MAKING = (CallState.ALLOWED, CallState.CALLING)


def make_due(worker: str, *, hands: Hands | None = None) -> int:
    """Make every call that may be made, and look after those a crash cut off; return how many.

    Two processes may do this at once: a session lock of the database and the conditional move to
    `calling` let one of them have each call. With `hands` several side by side.
    """
    taken = 0
    for pk, server in _due():
        work = partial(make, pk, worker=worker)
        taken += hands.take(pk, work, group=server) if hands else work()
    return taken


def _due() -> list[tuple[uuid.UUID, str]]:
    """Return what may be made, with its server; of each server a few, so that none keeps all waiting."""
    begun = Q(state=CallState.CALLING)
    due = begun | Q(state=CallState.ALLOWED, **windows.is_over())
    rows = CallApproval.objects.filter(due, state__in=_MAKING).exclude(
        holds.is_held(task="task_id", project="project_id", agent="step__agent_id")
    )
    place = Window(RowNumber(), partition_by=[F("call__server")], order_by="id")
    found = rows.annotate(place=place).filter(place__lte=_EACH).order_by("place", "id")
    return list(found.values_list("pk", "call__server")[:_BATCH])


def make(pk: uuid.UUID, *, worker: str) -> bool:
    """Make one call from `allowed`, or go on with one a crash or a hold left in `calling`."""
    with alone(pk) as mine:
        if not mine:
            return False
        approval = _loaded(pk)
        if not _begins(approval, worker):
            return False
        failpoint("call.calling")
        _act(approval)
    return True


def _loaded(pk: uuid.UUID) -> CallApproval:
    rows = CallApproval.objects.select_related("project", "task", "call__attempt", "requester")
    found = rows.get(pk=pk)
    found.task.project = found.project
    return found


def _begins(approval: CallApproval, worker: str) -> bool:
    """Put the intent on record, unless it is; False when the call is not to be made now."""
    if approval.state == CallState.CALLING and approval.sent_at is not None:
        return True  # what became of it is looked at, whoever stopped it
    try:
        with permitting.held(approval.call_id) as held:
            if not _goes(held):
                return False
            if approval.state == CallState.ALLOWED:
                approval.move(CallState.CALLING, guard=windows.is_over(), worker=worker)
    except TransitionRefused:
        return False
    except IntegrityError:
        _refuse(approval)
        return False
    return approval.state == CallState.CALLING


def _refuse(approval: CallApproval) -> None:
    """End a call that the database lets nobody begin: too few have allowed it, or for too short."""
    said = "Fewer have allowed this than were asked for. Nothing was called."
    try:
        verifying.require_allowed(approval)
    except (Refused, NotCarriedOut) as surely:
        said = str(surely)
    _end(approval, CallState.FAILED, said)


def _goes(held: Held) -> bool:
    """Tell whether a call may go out now: its step waits for it, and nobody holds that."""
    waits = held.waits and held.call.state == ToolCallState.WAITING
    return waits and not holds.holds_step(held.step)


@dataclass(frozen=True, slots=True)
class _Sending:
    """A call on its way. Whether it may go is asked once more, in the transaction that notes it."""

    approval: CallApproval

    @property
    def pk(self) -> uuid.UUID:
        return self.approval.pk

    @property
    def sent_at(self) -> datetime | None:
        return self.approval.sent_at

    @property
    def arguments(self) -> dict[str, Any]:
        return self.approval.arguments

    def note_sent(self) -> bool:
        with permitting.held(self.approval.call_id) as held:
            may = _goes(held) and using.stands(self.approval) and self.approval.note_sent()
        failpoint("call.sent")
        return may


def _act(approval: CallApproval) -> None:
    sent = approval.sent_at is not None
    try:
        verifying.require_allowed(approval)
        result = calling.deliver(_Sending(approval))
        failpoint("call.answered")
    except NotNow:
        _leave(approval)
    except (Refused, NotCarriedOut) as surely:
        if sent:  # before a crash: it may have landed even so
            _end(approval, CallState.UNKNOWN, str(surely))
        else:
            # Undone under a hold meanwhile: that is the end of it.
            with suppress(TransitionRefused):
                _end(approval, CallState.FAILED, str(surely))
    except Uncertain as failure:
        _end(approval, CallState.UNKNOWN, str(failure))
    except DatabaseError:
        raise  # it stays in `calling`; the next turn looks
    except Exception as fault:
        logger.exception("call %s met a fault", approval.pk)
        to = CallState.UNKNOWN if approval.sent_at is not None else CallState.FAILED
        _end(approval, to, f"A fault in Countersign: {type(fault).__name__}.")
    else:
        _end(approval, CallState.DONE, result["text"])


def _leave(approval: CallApproval) -> None:
    """Keep a held call for later. One that was stopped is withdrawn (`ending`), unless it was sent."""
    with permitting.held(approval.call_id) as held:
        lost = held.stopped and approval.sent_at is not None
    if lost:
        _end(approval, CallState.UNKNOWN, _STOPPED)


_STOPPED = "Its step was stopped while the tool was called; whether it took effect is not known."
_TOLD = {
    CallState.DONE: ToolCallState.DONE,
    CallState.FAILED: ToolCallState.FAILED,
    CallState.UNKNOWN: ToolCallState.UNKNOWN,
}


def _end(approval: CallApproval, to: CallState, text: str) -> None:
    """Write how it ended, and hand the answer to its step; what the model reads holds no secret.

    Also when the step was stopped meanwhile: the ledger and the timeline say what happened.
    """
    said = clean(text)
    with permitting.held(approval.call_id) as held:
        reason: dict[str, Any] = {} if to == CallState.DONE else {"reason": said}
        approval.move(to, finished_at=Now(), **reason)
        made_with = cleaned(approval.arguments["arguments"]) if approval.edited else None
        answer = _edited(approval) + said
        summary = (said.strip().splitlines() or [""])[0]
        permitting.answer(held, _TOLD[to], answer, summary, made_with)
        _audit(approval, to)
        failpoint("call.ended")


def _edited(approval: CallApproval) -> str:
    """Tell the model that a person changed what it asked for."""
    if not approval.edited:
        return ""
    made_with = arguments.plainly(cleaned(approval.arguments["arguments"]))
    return f"[A person changed the arguments; it was called with {made_with}]\n"


def _audit(approval: CallApproval, to: CallState, **detail: Any) -> None:
    audit.record(
        f"call.{to}",
        subject=approval,
        actor=None,
        project=approval.project,
        task=approval.task.label,
        tool=approval.snapshot["call"]["tool"],
        free=approval.free,
        **detail,
    )
