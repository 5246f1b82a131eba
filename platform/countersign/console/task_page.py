"""Everything the task page shows, from rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from agents import branches
from agents.lifecycle import StepKind, StepState, TaskState
from agents.models import Attempt, HoldScope, Proposal, Step
from agents.models.proposals import ProposalKind
from agents.priorities import Priority, word_of
from agents.reopening import may_reopen
from approvals.lifecycle import ApprovalState
from approvals.models import Approval
from countersign.console import (
    goals,
    graph,
    held,
    looks,
    meters,
    questions,
    queueing,
    sentences,
    streams,
    timeline,
)
from countersign.console.activity import activity_of, cursor_of
from countersign.console.checks import checks_of
from countersign.console.focus import focus_of
from countersign.console.timeline import worked
from memory.lifecycle import MemoryState
from memory.models import Memory, MemoryUse
from projects.access import is_lead
from projects.models import Membership, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.models import Task
    from approvals.models import Effect
    from projects.models import User


def context_of(
    task: Task,
    user: User,
    query: Mapping[str, str],
    drafts: Mapping[str, Any] | None = None,
    *,
    live: bool = False,
) -> dict[str, Any]:
    """Return the context of the page or of its live answer; `drafts` are refused answers."""
    steps = _steps(task)
    shown_round = _round(task, query.get("round"))
    shown = [step for step in steps if step.round == shown_round or step.kind == StepKind.ROUTE]
    work = branches.newest([step for step in shown if step.kind == StepKind.WORK])
    tries = _tries(steps)
    attempts = {key: rows[-1] for key, rows in tries.items()}
    approval = Approval.objects.filter(task=task).select_related("decided_by", "proposal").last()
    proposal = Proposal.objects.filter(task=task).order_by("round", "version").last()
    effect = sentences.last_effect(task)
    focus = focus_of(shown, query)
    planned = [step for step in work.values() if not step.left_out]
    return {
        "here": "tasks",
        "task": task,
        "live": live,
        "now": timezone.now(),
        **_held(task, user, steps),
        "seq": task.last_seq,
        "meters": meters.meters_of(task, focus, attempts),
        "price_url": price_url(user) if not task.rehearsal else "",
        "graph": _graph(task, shown, tries, approval, effect, proposal, shown_round),
        **_said(task, shown),
        "work": planned,
        **_goals(planned, proposal if shown_round == task.round else None),
        "done_steps": sum(step.state == StepState.DONE for step in work.values()),
        "shown_round": shown_round,
        "rounds": range(1, task.round + 1) if task.round > 1 else (),
        "view": "list" if query.get("view") == "list" else "graph",
        **activity_of(task, steps, tries, query, live=live),
        **_pane(shown, focus, query),
        "approval": approval,
        "proposal": proposal,
        "effect": effect,
        "commit": sentences.merged_as(effect) if effect else "",
        "checks": checks_of(proposal.checks) if proposal and proposal.checks else None,
        "lessons": lessons_of(task),
        "lesson_from_here": _lesson_from(task),
        **_acts(task, user, steps, drafts or {}),
        "signers": signers_of(task),
        "may_sign": may_sign(task, user),
    }


def earlier_of(task: Task, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the rows before a seq."""
    return {"rows": timeline.all_events(task, _steps(task), before=cursor_of(query, "before") or 0)}


def _pane(steps: list[Step], focus: Step | None, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what the live pane shows, and whose output there is besides."""
    return {
        "focus": focus,
        "picked": focus is not None and str(focus.pk) == query.get("agent"),
        "watched": [step for step in steps if step.attempt or step.started_at],
        "stream": streams.stream_of(focus) if focus else [],
    }


def _said(task: Task, steps: list[Step]) -> dict[str, Any]:
    """Return what happens now, for eyes and for a screen reader."""
    sentence = queueing.sentence_of(task, steps)
    sentence = sentence or sentences.sentence_of(task, steps, sentences.Facts.read([task]))
    return {
        "sentence": sentence,
        "spoken": f"{task.label}: {sentence or sentences.word_of(task) or task.get_state_display()}",
        "called": sentences.call_of(task),
    }


def _goals(steps: list[Step], proposal: Proposal | None) -> dict[str, Any]:
    found = goals.goals_of(steps, proposal)
    return {"goals": found, "verified": sum(goal.verified for goal in found)}


def _held(task: Task, user: User, steps: list[Step]) -> dict[str, Any]:
    """Return how the task looks, and what holds it up if a person does."""
    hold = held.over(task)
    word = queueing.word_of(task, steps) or _word(task, user)
    return {
        "look": held.look(hold) if hold else looks.of_task(task, word=word),
        "hold": hold,
        "paused": hold is not None and hold.scope == HoldScope.TASK,
        "priorities": Priority.choices if is_lead(user, task.project) and not task.over else (),
        "priority_word": word_of(task),
    }


def _acts(task: Task, user: User, steps: list[Step], drafts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this person may do about the task, and what they are asked."""
    escalations = list(sentences.open_escalations(task))
    may_act = user.pk == task.requester_id or is_lead(user, task.project)
    return {
        "may_act": may_act,
        "questions": questions.questions_of(task, escalations, drafts),
        "sent_again": {s.pk for s in steps if may_reopen(task, s)} if may_act else set(),
        "no_model": bool(escalations) and settings.COUNTERSIGN_MODEL == "rehearsal",
    }


def _graph(
    task: Task,
    shown: list[Step],
    tries: dict[object, list[Attempt]],
    approval: Approval | None,
    effect: Effect | None,
    proposal: Proposal | None,
    shown_round: int,
) -> graph.Graph:
    return graph.graph_of(
        task,
        branches.still_shown(shown),
        {key: rows[-1] for key, rows in tries.items()},
        seconds={key: worked(rows) for key, rows in tries.items()},
        approval=approval if approval and approval.proposal.round == shown_round else None,
        effect=effect if shown_round == task.round else None,
        signers=_one_signer(task),
        kind=proposal.kind if proposal else ProposalKind.CHANGE,
    )


def price_url(user: User) -> str:
    """Return where somebody who may sets the price of a model."""
    may = user.is_staff and user.has_perm("agents.change_modelprofile")
    return reverse("admin:agents_modelprofile_changelist") if may else ""


def signers_of(task: Task) -> str:
    """Name the people who may sign this task."""
    leads = Membership.objects.filter(
        project=task.project_id, role=Role.LEAD, user__is_active=True
    ).select_related("user")
    if not task.project.single_person:
        leads = leads.exclude(user=task.requester_id)
    names = [row.user.display_name for row in leads.order_by("pk")[:3]]
    return " or ".join(names) if names else "a tech lead (none yet)"


def _one_signer(task: Task) -> str:
    names = signers_of(task)
    return "a tech lead" if " or " in names else names


def may_sign(task: Task, user: User) -> bool:
    """Tell whether this person is one of the signers."""
    other = user.pk != task.requester_id or task.project.single_person
    return other and is_lead(user, task.project)


def lessons_of(task: Task) -> list[MemoryUse]:
    """Return which lessons were put before which agents, each once."""
    uses = MemoryUse.objects.filter(task=task.pk, memory__project=task.project_id)
    seen = {use.memory_id: use for use in uses.select_related("memory").order_by("-rank", "-id")}
    return list(reversed(seen.values()))


def _lesson_from(task: Task) -> Memory | None:
    """Return what people remembered of this task, if they did."""
    found = Memory.objects.filter(project=task.project_id, source_task=task.pk)
    return found.exclude(state=MemoryState.ERASED).last()


def _steps(task: Task) -> list[Step]:
    return list(
        queueing.with_ahead(Step.objects.filter(task=task), task)
        .select_related("agent", "version", "asked_by__agent")
        .prefetch_related("dependencies__needs__agent")
        .order_by("round", "id")
    )


def _tries(steps: list[Step]) -> dict[object, list[Attempt]]:
    tries: dict[object, list[Attempt]] = {}
    for row in Attempt.objects.filter(step__in=steps).defer("checkpoint").order_by("number"):
        tries.setdefault(row.step_id, []).append(row)
    return tries


def _round(task: Task, wanted: str | None) -> int:
    number = int(wanted) if wanted and wanted.isdecimal() and len(wanted) < 4 else task.round
    return min(max(number, 1), task.round)


def _word(task: Task, user: User) -> str:
    sealed = task.approvals.filter(state=ApprovalState.PENDING)
    if task.state == TaskState.REVIEW and may_sign(task, user) and sealed.exists():
        return "Waits for your signature"
    return sentences.word_of(task)
