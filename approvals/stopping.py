"""Stops a task from above: its approval and planned effects go first, then the agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from agents import holds, stopping, storable
from agents.models import Task
from approvals import deadlines
from approvals.exceptions import UnknownApproval
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import Approval, Effect
from approvals.undoing import UNSENT
from projects import access, audit
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projects.models import User

MAX_REASON = 4_000  # characters
_UNCLEAR = "Nobody knows yet whether the approved effect landed. "
_ASKED = "Answer the open question first: trying again looks at the outside world before it acts."
_LOOKED_FOR = "It is looked for before it is tried again, at the latest when the hold is lifted."
_BEGUN = "The approved effect has begun, so the task can no longer be stopped. "
_WAIT = "Wait for it to end; a revert is a new task."
_GOES_ON = "What is left of it goes on when the hold is lifted; a revert is a new task."
_OPEN = {EffectState.PLANNED, EffectState.DOING}
_STANDING = (ApprovalState.PENDING, ApprovalState.APPROVED)


def stop_task(task: Task, *, by: User, reason: str = "", address: str | None = None) -> None:
    """Stop a task and withdraw what waits in it, in one transaction.

    The requester or a lead may. Raises TransitionRefused once an effect is done, may have landed, or
    has begun and no hold keeps it from being sent. Raises InvalidInput for a reason that is too long.
    """
    reason = storable.text(reason.strip())
    if len(reason) > MAX_REASON:
        raise InvalidInput("reason", f"A reason has at most {MAX_REASON:,} characters.")
    found = Task.objects.visible_to(by).select_related("project").filter(pk=task.pk).first()
    if found is None:
        raise UnknownApproval("There is no such task.")
    if by.pk != found.requester_id and not access.is_lead(by, found.project):
        raise NotAllowed("Only who asked for it or a tech lead of the project can stop a task.")
    with transaction.atomic():
        withdrawn = _withdraw(found, why=_why(by, reason))
        stopping.stop(found, by=by, reason=reason, address=address)
        # The task is locked now. What was sealed before that may be approved: signatures hold.
        if found.approvals.filter(state__in=_STANDING).exists():
            raise TransitionRefused(
                "It was just put up on a main that has moved. Nothing was stopped; stop it once more."
            )
        for approval in withdrawn:
            audit.record(
                "approval.withdrawn",
                subject=approval,
                actor=by,
                project=found.project,
                address=address,
                task=found.label,
            )


def _withdraw(task: Task, *, why: str) -> list[Approval]:
    # Approvals, effects, steps, task: the one lock order; so no event is written before the end.
    rows = task.approvals.select_for_update(no_key=True).filter(state__in=_STANDING)
    withdrawn = list(rows.order_by("id"))
    for approval in withdrawn:
        if approval.state == ApprovalState.PENDING:
            approval.move(ApprovalState.WITHDRAWN, decided_at=Now(), reason=why)
        else:
            _withdraw_effects(approval, why=why)
    return withdrawn


def _withdraw_effects(approval: Approval, *, why: str) -> None:
    effects = list(
        deadlines.with_window(Effect.objects.filter(approval=approval))
        .select_for_update(no_key=True)
        .order_by("id")
    )
    if refusal := _why_not(effects, held=holds.held(approval.task)):
        raise TransitionRefused(refusal)
    for effect in effects:
        if effect.state in _OPEN:
            effect.move(EffectState.WITHDRAWN, guard=UNSENT, finished_at=Now())
    approval.move(ApprovalState.WITHDRAWN, reason=why)


def _why_not(effects: Sequence[Any], *, held: bool) -> str:
    """Return why these can no longer be withdrawn, or an empty string."""
    states = {effect.state for effect in effects}
    if EffectState.UNKNOWN in states:
        return _UNCLEAR + _ASKED
    left = [each for each in effects if each.state in _OPEN]
    # One that was sent and is to be tried again may have landed as well.
    if any(each.sent_at is not None for each in left):
        return _UNCLEAR + (_LOOKED_FOR if held else _WAIT)
    begun = [each for each in left if each.state == EffectState.DOING]
    kept = all(each.may_be_undone for each in begun)  # by a hold
    if EffectState.DONE in states or not kept:
        return _BEGUN + (_GOES_ON if held and left else _WAIT)
    return ""


def _why(by: User, reason: str) -> str:
    tail = f": {reason}" if reason else "."
    return f"{by.display_name} stopped the task{tail}"
