"""Carries out what was signed: intent on record, act, confirm; after a crash: probe."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Window
from django.db.models.functions import Now, RowNumber

from agents import escalations, holds
from agents.events import Kind
from agents.lifecycle import EscalationState, TaskState
from agents.models import Escalation, Task
from agents.models.tasks import Choice, Rule
from agents.workspace.exceptions import MainMoved, PushRefused
from approvals import calling, deadlines, merging, verifying
from approvals.alone import alone
from approvals.exceptions import NotCarriedOut, NotNow, Refused, Uncertain
from approvals.freshness import moved_sentence
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import SEAL, Approval, Effect, EffectKind
from projects import audit
from projects.exceptions import TransitionRefused
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from approvals.hands import Hands

logger = logging.getLogger(__name__)

_BATCH = 20
_OF_A_PROJECT = 10
_LOOKED_FOR_EVERY = timedelta(minutes=1)
_PK_PROJECT = ("pk", "approval__project_id")


def carry_out_due(
    worker: str, *, stop: Callable[[], bool] = lambda: False, hands: Hands | None = None
) -> int:
    """Carry out every effect that is due, and look after those a crash left in `doing`.

    The effects of one project one after the other; with `hands` those of several side by side, and
    this returns at once. Two processes may do this at once: a session lock of the database and the
    conditional move to `doing` let one of them have each effect. Ends between two effects when
    `stop` says so. Returns how many effects (with `hands`: projects) it took.
    """
    _take_up_answered()
    _close_finished()
    taken = 0
    for project, pks in _by_project([*_left_over(), *_due()]).items():
        work = partial(_carry_out_all, pks, worker=worker, stop=stop)
        taken += hands.take(project, work) if hands else work()
    return taken


def _carry_out_all(pks: list[uuid.UUID], *, worker: str, stop: Callable[[], bool]) -> int:
    taken = 0
    for pk in pks:
        if stop():
            break
        try:
            taken += carry_out(pk, worker=worker)
        except DatabaseError:
            raise
        except Exception:  # one effect must not hold up the others
            logger.exception("effect %s could not be looked after", pk)
    return taken


def _by_project(found: list[tuple[uuid.UUID, uuid.UUID]]) -> dict[uuid.UUID, list[uuid.UUID]]:
    projects: dict[uuid.UUID, list[uuid.UUID]] = {}
    for pk, project in found:
        projects.setdefault(project, []).append(pk)
    return projects


def carry_out(effect_id: uuid.UUID, *, worker: str) -> bool:
    """Carry out one effect from `planned`, or go on with one a crash left in `doing`."""
    with alone(effect_id) as mine:
        if not mine:
            return False
        effect = _load(effect_id)
        if effect.state == EffectState.PLANNED:
            try:
                begin(effect, worker=worker)
            except TransitionRefused:
                return False  # undone, stopped or taken meanwhile
        if effect.state != EffectState.DOING:
            return False
        failpoint("effect.doing")
        try:
            _act_unless_taken_back(effect)
        except NotNow:
            looked_for = Effect.objects.filter(pk=effect_id, state=EffectState.DOING)
            looked_for.update(looked_at=Now())
    return True


def _act_unless_taken_back(effect: Effect) -> None:
    """Act; what somebody took back meanwhile, under a hold, has ended."""
    try:
        act(effect)
    except TransitionRefused:
        effect.refresh_from_db(fields=["state"])
        if effect.state != EffectState.WITHDRAWN:
            raise


def begin(effect: Effect, *, worker: str) -> None:
    """Put the intent on record; raises TransitionRefused when it is no longer to be done."""
    with transaction.atomic():
        window_over = {"not_before__lte": deadlines.window_now()}
        effect.move(EffectState.DOING, guard=window_over, worker=worker, started_at=Now(), error="")
        wanted = Task.objects.select_for_update(no_key=True).filter(
            pk=effect.approval.task_id, state=TaskState.EXECUTING
        )
        if wanted.first() is None:
            raise TransitionRefused("The task no longer carries anything out.")
        if holds.held(effect.approval.task):
            raise TransitionRefused(
                "A person holds this; it is carried out when the hold is lifted."
            )
        effect.approval.task.record(Kind.EFFECT_STARTED, _facts(effect))
        failpoint("effect.begun")


def act(effect: Effect) -> None:
    """Do it and confirm; safe to call again after a crash at any point, or NotNow: a hold is open."""
    try:
        result = _do(effect)
    except MainMoved as moved:
        _fall_stale(effect, moved_sentence(effect.approval, moved.actual), main_moved=True)
    except Refused as refused:
        _refuse(effect, str(refused))
    except (PushRefused, NotCarriedOut) as surely:  # main was at the base just before
        _hand_over(effect, EffectState.FAILED, str(surely))
    except (*merging.NOT_MERGED, Uncertain) as failure:
        _hand_over_unless_sure(effect, str(failure))
    except (DatabaseError, NotNow):
        raise  # it stays in `doing`; the next turn, or that after the hold, probes
    except Exception as fault:
        logger.exception("effect %s met a fault", effect.pk)
        _hand_over_unless_sure(effect, f"A fault in Countersign: {type(fault).__name__}.")
    else:
        finish(effect, result)
        failpoint("effect.confirmed")


def finish(effect: Effect, result: dict[str, Any]) -> None:
    """Confirm: the effect is done; the task is done with the last of them."""
    task = effect.approval.task
    with transaction.atomic():
        effect.move(EffectState.DONE, result=result, finished_at=Now())
        task.record(Kind.EFFECT_FINISHED, {**_facts(effect), "result": result})
        task.refresh_from_db()
        left = effect.approval.effects.exclude(state=EffectState.DONE).exists()
        if not left and task.state == TaskState.EXECUTING:
            _end_task(task, effect.approval)
        _audit("done", effect, result=result)
        failpoint("effect.confirming")


def _do(effect: Effect) -> dict[str, Any]:
    match effect.kind:
        case EffectKind.GIT_MERGE:
            return merging.merge(effect)
        case EffectKind.DELIVER:
            verifying.require_signed(effect)
            verifying.require_same_report(effect)
            return {"to": effect.arguments["to"], "proposal": str(effect.approval.proposal_id)}
        case EffectKind.MCP_CALL:
            return calling.call(effect)
        case _:
            raise Refused(f"This version cannot carry out {effect.kind}. Nothing was done.")


def _refuse(effect: Effect, reason: str) -> None:
    """What was signed no longer holds; a call that was sent before a crash may have landed even so.

    Back in review it would be signed again, and then made twice. A merge has looked for itself first.
    """
    if effect.kind == EffectKind.MCP_CALL and effect.sent_at is not None:
        sent = "It was sent before a restart and may have landed; look at the other side."
        _hand_over(effect, EffectState.UNKNOWN, f"{sent} It is not sent again: {reason}")
    else:
        _fall_stale(effect, reason, main_moved=False)


def _fall_stale(effect: Effect, reason: str, *, main_moved: bool) -> None:
    """Nothing was done and what was signed no longer holds: back to review, with the reason."""
    approval, task = effect.approval, effect.approval.task
    with transaction.atomic():
        if approval.state == ApprovalState.APPROVED:
            approval.move(ApprovalState.STALE, main_moved=main_moved, reason=reason)
        effect.move(EffectState.FAILED, error=reason, finished_at=Now())
        for other in approval.effects.filter(state=EffectState.PLANNED):
            other.move(EffectState.WITHDRAWN, finished_at=Now())
        task.record(Kind.EFFECT_FINISHED, {**_facts(effect), "error": reason})
        facts = {"approval": str(approval.pk), "state": approval.state, "reason": reason}
        task.record(Kind.APPROVAL_DECIDED, facts)
        task.refresh_from_db()
        if task.state == TaskState.EXECUTING:
            task.move(TaskState.REVIEW, data={"approval": str(approval.pk), "reason": reason})
        _audit("stale", effect, reason=reason)
        failpoint("effect.stale")


def _hand_over_unless_sure(effect: Effect, reason: str) -> None:
    """Say "failed" only when nothing was ever sent; what was sent may have landed."""
    if effect.sent_at is None:
        _hand_over(effect, EffectState.FAILED, reason)
    else:
        where = "main" if effect.kind == EffectKind.GIT_MERGE else "the other side"
        _hand_over(effect, EffectState.UNKNOWN, f"{reason} It may have landed; look at {where}.")


def _hand_over(effect: Effect, state: str, reason: str) -> None:
    """A person chooses whether to try again; the approval stays signed."""
    task = effect.approval.task
    evidence = {"effect": str(effect.pk), "approval": str(effect.approval_id)}
    with transaction.atomic():
        effect.move(state, error=reason, finished_at=Now())
        task.record(Kind.EFFECT_FINISHED, {**_facts(effect), "error": reason})
        task.refresh_from_db()
        if not task.over:
            escalations.raise_on(
                task,
                rule=Rule.EFFECT_FAILED,
                detail=reason,
                evidence=evidence,
                options=(Choice.RETRY_WITH_NOTE, Choice.STOP),
            )
        _audit(state, effect, reason=reason)


def _take_up_answered() -> None:
    """Plan again what a person answered with "try again" on the task page."""
    answered = _loaded().filter(
        ~Exists(
            Escalation.objects.filter(task=OuterRef("approval__task"), state=EscalationState.OPEN)
        ),
        state__in=[EffectState.FAILED, EffectState.UNKNOWN],
        approval__state=ApprovalState.APPROVED,
        approval__task__state=TaskState.EXECUTING,
    )
    for effect in answered[:20]:
        with suppress(TransitionRefused):  # another process was faster
            _plan_again(effect)


def _close_finished() -> None:
    """End tasks whose effects are all done although something else held them up meanwhile."""
    undone = Effect.objects.filter(approval=OuterRef("pk")).exclude(state=EffectState.DONE)
    finished = Approval.objects.filter(
        ~Exists(undone),
        Exists(Effect.objects.filter(approval=OuterRef("pk"))),
        state=ApprovalState.APPROVED,
        task__state=TaskState.EXECUTING,
    )
    for approval in finished.select_related("task__project").defer(*SEAL)[:20]:
        with suppress(TransitionRefused):  # another process was faster
            _end_task(approval.task, approval)


def _end_task(task: Task, approval: Approval) -> None:
    results = list(approval.effects.order_by("position").values_list("result", flat=True))
    task.move(
        TaskState.DONE,
        kind=Kind.TASK_FINISHED,
        data={"approval": str(approval.pk), "results": results},
    )


def _plan_again(effect: Effect) -> None:
    if effect.approval.state != ApprovalState.APPROVED:
        raise TransitionRefused("This approval no longer holds. Propose the change again.")
    facts: dict[str, Any] = {"not_before": Now(), "worker": "", "finished_at": None}
    # Of a call there is no probe, so the person who answered has looked; what failed did not land.
    if effect.kind == EffectKind.MCP_CALL or effect.state == EffectState.FAILED:
        facts["sent_at"] = None
    effect.move(EffectState.PLANNED, **facts)


def _due() -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Return planned effects, with their project, whose window is over and predecessors are done.

    A few of each project: one that takes its time must not keep the others from being looked at.
    """
    before = Effect.objects.filter(
        approval=OuterRef("approval"), position__lt=OuterRef("position")
    ).exclude(state=EffectState.DONE)
    rows = _current().filter(~Exists(before), state=EffectState.PLANNED, not_before__lte=Now())
    held = holds.is_held(task="approval__task_id", project="approval__project_id")
    rows = rows.filter(~held, not_before__lte=deadlines.window_now())
    turn = Window(
        RowNumber(), partition_by="approval__project", order_by=["not_before", "position"]
    )
    first = rows.annotate(turn=turn).filter(turn__lte=_OF_A_PROJECT)
    return list(first.order_by("turn", "not_before").values_list(*_PK_PROJECT)[:_BATCH])


def _left_over() -> list[tuple[uuid.UUID, uuid.UUID]]:
    held = holds.is_held(task="approval__task_id", project="approval__project_id")
    # A merge that may have landed is looked for all the same, now and then: nothing is pushed while
    # it is held. It comes after all that may go on.
    sent = Q(kind=EffectKind.GIT_MERGE, sent_at__isnull=False)
    look = Q(looked_at=None) | Q(looked_at__lte=Now() - _LOOKED_FOR_EVERY)
    rows = Effect.objects.filter(~Q(held) | (sent & look), state=EffectState.DOING)
    first = rows.annotate(held=held).order_by("held", "started_at")
    return list(first.values_list(*_PK_PROJECT)[:_BATCH])


def _current() -> QuerySet[Effect]:
    return Effect.objects.filter(
        approval__state=ApprovalState.APPROVED, approval__task__state=TaskState.EXECUTING
    )


def _loaded() -> QuerySet[Effect]:
    return Effect.objects.select_related("approval__task__requester", "approval__project")


def _load(effect_id: uuid.UUID) -> Effect:
    effect = _loaded().get(pk=effect_id)
    effect.approval.task.project = effect.approval.project
    return effect


def _facts(effect: Effect) -> dict[str, Any]:
    return {
        "effect": str(effect.pk),
        "kind": effect.kind,
        "state": effect.state,
        "approval": str(effect.approval_id),
    }


def _audit(act: str, effect: Effect, **detail: Any) -> None:
    audit.record(
        f"effect.{act}",
        subject=effect,
        actor=None,
        project=effect.approval.project,
        kind=effect.kind,
        task=effect.approval.task.label,
        approval=str(effect.approval_id),
        **detail,
    )
