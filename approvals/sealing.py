"""Seals a proposal: snapshot, canonical JSON, SHA-256, nonce, expiry, approval row."""

from __future__ import annotations

import logging
import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q

from agents import escalations
from agents.events import Kind
from agents.lifecycle import TaskState
from agents.models import Event, Proposal, Task
from agents.models.tasks import Choice, Rule
from agents.recording import record_all
from approvals import carrying, policies, reminding, routing, snapshots, snoozing
from approvals.canonical import digest_of
from approvals.deadlines import database_now
from approvals.exceptions import TooLarge
from approvals.lifecycle import ApprovalState
from approvals.models import Approval
from projects import audit
from projects.exceptions import TransitionRefused
from projects.failpoints import failpoint
from projects.ids import floor
from projects.inserting import insert_all
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from approvals.models import Policy, PolicyRule

logger = logging.getLogger(__name__)

MOST = 50  # sealed in one transaction: it holds the audit log's lock as long as it takes
NEW_SECONDS = 600.0
_LOOKED_AT = 1_000  # tasks in review without a pending approval, at a time


def seal(proposal: Proposal) -> Approval:
    """Put a proposal up for decision: the approval, its event and its audit entry.

    Locks the task; raises TransitionRefused when it does not wait for sign-off or an approval of
    it does already, TooLarge when the change cannot be shown whole.
    """
    with transaction.atomic():
        task = _lock(proposal.task_id)
        if task is None or task.state != TaskState.REVIEW:
            state = task.state if task else "gone"
            raise TransitionRefused(f"The task is {state}; only a task in review is sealed.")
        if task.approvals.filter(state=ApprovalState.PENDING).exists():
            raise TransitionRefused(f"{task.label} waits for a signature already. Open its review.")
        proposal.task = task
        return _write([proposal])[0]


def _write(proposals: Sequence[Proposal]) -> list[Approval]:
    """Write what is sealed, by one moment's facts; the tasks are locked and wait for it."""
    in_force = policies.active_policies(each.task.project for each in proposals)
    rules = policies.rules_of(in_force.values())
    facts, now = snapshots.Facts.read(proposals), database_now()
    fallen = carrying.fallen(proposals)
    sealed = []
    for each in proposals:
        policy = in_force[each.task.project_id]
        before = fallen.get(each.task_id)
        sealed.append(_sealed(each, facts, policy, rules[policy.pk], now, before))
    _replace(proposals)
    insert_all(sealed)
    reminding.plan(sealed, now)
    snoozing.carry_over(sealed)
    routing.carry_over(sealed, now)
    held = carrying.held(sealed, fallen)
    settled = {each.approval.pk for each in held if each.settles}
    asked = [each for each in sealed if each.pk not in settled]
    _announce(asked)
    carrying.carry(held)
    _record(asked, held)
    failpoint("seal.written")
    return sealed


def _replace(proposals: Sequence[Proposal]) -> None:
    """Say of what ended undecided that it needs no answer any more; such rows never change else."""
    ended = Approval.objects.filter(
        task__in=[each.task_id for each in proposals],
        state__in=[ApprovalState.STALE, ApprovalState.EXPIRED],
        replaced=False,
    )
    ended.update(replaced=True)


def _sealed(
    proposal: Proposal,
    facts: snapshots.Facts,
    policy: Policy,
    rules: Sequence[PolicyRule],
    now: datetime,
    before: carrying.Fallen | None,
) -> Approval:
    task, nonce = proposal.task, secrets.token_urlsafe(24)
    snapshot = snapshots.build(proposal, facts, policy=policy, rules=rules, nonce=nonce, now=now)
    if before is not None:
        snapshot |= before.sealed_with(snapshot)
    return Approval(
        follows=before.approval if before and "follows" in snapshot else None,
        project=task.project,
        task=task,
        proposal=proposal,
        policy=policy,
        requester=task.requester,
        single_person=snapshot["single_person"],
        risk=snapshot["risk"]["level"],
        snapshot=snapshot,
        digest=digest_of(snapshot),
        nonce=nonce,
        expires_at=datetime.fromisoformat(snapshot["expires_at"]),
    )


def _lock(task: uuid.UUID) -> Task | None:
    tasks = Task.objects.select_for_update(of=("self",), no_key=True)
    return tasks.select_related("project", "requester").filter(pk=task).first()


def seal_ready(limit: int = MOST) -> int:
    """Seal the newest proposal of every task in review that has none; return how many it took up.

    What cannot be sealed is a person's question and holds up no other. Two processes may do this
    at once: each task is sealed by one of them. It walks all that is in review.
    """
    return _take_up(_unsealed(limit))


def seal_new(limit: int = MOST) -> int:
    """Do the same for proposals of the last minutes only: what is in review besides costs nothing."""
    new = _never_sealed().filter(pk__gt=new_since(), task__state=TaskState.REVIEW)
    return _take_up(list(new[:limit]))


def new_since() -> uuid.UUID:
    """Return what lies below the keys of new proposals, however the clocks of workers differ."""
    return floor(NEW_SECONDS)


def _take_up(tasks: Sequence[uuid.UUID]) -> int:
    try:
        return _seal_newest(tasks)
    except (OperationalError, InterfaceError):
        raise  # the database is away, no proposal is wrong
    except Exception as error:  # noqa: BLE001  # one of them; each is tried by itself
        logger.info("%s tasks are sealed one by one: %s", len(tasks), error)
    return sum(_seal_or_ask(task) for task in tasks)


def _seal_newest(tasks: Sequence[uuid.UUID]) -> int:
    if not tasks:
        return 0
    with transaction.atomic():
        proposals = _lock_unsealed(tasks)
        if proposals:
            _write(proposals)
    return len(proposals)


def _seal_or_ask(task: uuid.UUID) -> int:
    with transaction.atomic():
        proposals = _lock_unsealed([task])
        try:
            with transaction.atomic():  # a fault must leave this transaction fit to ask a person
                if proposals:
                    _write(proposals)
        except TooLarge as error:
            _ask(proposals[0], Rule.BLOCKED, str(error), Choice.STOP)
        except (OperationalError, InterfaceError):
            raise
        except Exception as fault:
            logger.exception("task %s cannot be sealed", task)
            said = f"The proposal could not be put up for sign-off: {type(fault).__name__}."
            _ask(proposals[0], Rule.FAULT, said, Choice.RETRY_WITH_NOTE, Choice.STOP)
    return len(proposals)


def _ask(proposal: Proposal, rule: Rule, detail: str, *options: Choice) -> None:
    evidence = {"proposal": str(proposal.pk)}
    escalations.raise_on(
        proposal.task, rule=rule, detail=detail, evidence=evidence, options=options
    )


def _unsealed(limit: int) -> list[uuid.UUID]:
    """Return tasks in review whose newest proposal has no approval, oldest first.

    In two steps: thousands of tasks wait for people, and the first leaves out all of them at once.
    Page by page: those whose approval has expired stay in review, and must hide no other.
    """
    found: list[uuid.UUID] = []
    page = _FIRST_BARE()
    while page and len(found) < limit:
        found += _NEVER_SEALED(tasks=page)
        if len(page) < _LOOKED_AT:
            break
        page = list(_bare().filter(pk__gt=page[-1])[:_LOOKED_AT])
    return found[:limit]


def _bare() -> QuerySet[Task, uuid.UUID]:
    pending = Approval.objects.filter(task=OuterRef("pk"), state=ApprovalState.PENDING)
    bare = Task.objects.filter(~Exists(pending), state=TaskState.REVIEW).order_by("pk")
    return bare.values_list("pk", flat=True)


def _never_sealed() -> QuerySet[Proposal, uuid.UUID]:
    newest = Proposal.objects.filter(task=OuterRef("task")).order_by("-round", "-version")
    unsealed = Proposal.objects.filter(
        ~Exists(Approval.objects.filter(proposal=OuterRef("pk"))), pk=newest.values("pk")[:1]
    )
    return unsealed.order_by("task_id").values_list("task", flat=True)


_FIRST_BARE = Prepared(lambda: _bare()[:_LOOKED_AT])
_NEVER_SEALED = Prepared(lambda: _never_sealed().filter(task__any=Given("tasks")))


def _lock_unsealed(tasks: Sequence[uuid.UUID]) -> list[Proposal]:
    """Lock tasks in review and return their newest proposals; not those where others were faster."""
    locked = {task.pk: task for task in _IN_REVIEW(tasks=list(tasks))}
    proposals = _NEWEST(tasks=list(locked))
    taken = set(_TAKEN(proposals=[each.pk for each in proposals], tasks=list(locked)))
    for proposal in proposals:
        proposal.task = locked[proposal.task_id]
    return [proposal for proposal in proposals if proposal.task_id not in taken]


_IN_REVIEW = Prepared(
    lambda: (
        Task.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        .select_related("project", "requester")
        .filter(pk__any=Given("tasks"), state=TaskState.REVIEW)
        .order_by("pk")
    )
)
_NEWEST = Prepared(
    lambda: (
        Proposal.objects.filter(task__any=Given("tasks"))
        .order_by("task_id", "-round", "-version")
        .distinct("task_id")
    )
)
_TAKEN = Prepared(
    lambda: Approval.objects.filter(
        Q(proposal__any=Given("proposals"))
        | Q(task__any=Given("tasks"), state=ApprovalState.PENDING)
    ).values_list("task", flat=True)
)


def _announce(asked: Sequence[Approval]) -> None:
    """Ask for signatures; those of a change whose signatures hold and are enough are not asked for."""
    record_all(
        [
            Event(
                task=each.task,
                kind=Kind.APPROVAL_REQUESTED,
                data={"approval": str(each.pk), "risk": each.risk},
            )
            for each in asked
        ]
    )


def _record(asked: Sequence[Approval], held: Sequence[carrying.Held]) -> None:
    """Log what was put up: what people are asked for, and what holds, which says whether that settles it."""
    requests = [
        audit.Act(
            action="approval.requested",
            subject=each,
            actor=None,
            project=each.project,
            detail={"digest": each.digest, "task": each.task.label, "risk": each.risk},
        )
        for each in asked
    ]
    audit.record_all([*requests, *(carrying.act(each) for each in held)])
