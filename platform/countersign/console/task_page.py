"""Everything the task page shows, from rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse

from agents import branches
from agents.lifecycle import StepKind, StepState, TaskState
from agents.models import HoldScope
from agents.models.proposals import ProposalKind
from agents.priorities import Priority, word_of
from agents.reopening import reopenable
from approvals import counting, rights
from approvals.lifecycle import ApprovalState, EffectState
from approvals.requirements import Required
from countersign.console import (
    goals,
    graph,
    held,
    looks,
    meters,
    questions,
    queueing,
    reading,
    sentences,
    signers,
    streams,
    task_rows,
    timeline,
)
from countersign.console.activity import Asked, activity_of, cursor_of
from countersign.console.checks import checks_of
from countersign.console.focus import focus_of
from countersign.console.timeline import worked
from projects import together

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.models import Hold, Proposal, Step, Task
    from approvals.counting import Counted
    from countersign.console.task_rows import Rows
    from projects.across import Mine
    from projects.models import User


def context_of(
    task: Task,
    user: User,
    mine: Mine,
    query: Mapping[str, str],
    typed: Mapping[str, Any] | None = None,
    *,
    live: bool = False,
) -> dict[str, Any]:
    """Return the context of the page or of its live answer; `typed` is what was refused."""
    asked = Asked.of(task, query, live=live)
    rows = task_rows.read(task, user, calls=asked.tab == "steps")
    shown_round = _round(task, query.get("round"))
    shown = [
        step for step in rows.steps if step.round == shown_round or step.kind == StepKind.ROUTE
    ]
    work = branches.newest([step for step in shown if step.kind == StepKind.WORK])
    focus = focus_of(shown, query)
    streamed = {"stream": streams.events_of(focus)} if focus else {}
    events = together.read({"asked": asked.events, **streamed})
    planned = [step for step in work.values() if not step.left_out]
    hold = held.over(task)
    return {
        "here": "tasks",
        "task": task,
        "live": live,
        **_held(task, user, mine, rows, hold),
        "seq": task.last_seq,
        "meters": _meters(task, rows, focus, hold),
        "price_url": price_url(user) if not task.rehearsal else "",
        "graph": _graph(task, shown, rows, shown_round),
        **_said(task, shown, rows),
        "work": planned,
        **_goals(planned, rows.proposal if shown_round == task.round else None),
        "done_steps": sum(step.state == StepState.DONE for step in work.values()),
        "shown_round": shown_round,
        "rounds": range(1, task.round + 1) if task.round > 1 else (),
        "view": "list" if query.get("view") == "list" else "graph",
        **activity_of(task, rows, asked, events.rows("asked")),
        **_pane(shown, focus, query),
        "stream": streams.stream_of(events.rows("stream")),
        **_outcome(rows),
        **_acts(task, user, mine, rows, typed or {}),
        **_signing(rows, user, mine),
    }


def earlier_of(task: Task, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the rows before a seq."""
    events = list(timeline.newest(task, before=cursor_of(query, "before") or 0))
    return {"rows": timeline.by_event(events, task_rows.read_steps(task))}


def _outcome(rows: Rows) -> dict[str, Any]:
    """Return what came of the task so far."""
    proposal, effect = rows.proposal, rows.effect
    return {
        "approval": rows.approval,
        "edit": rows.edit,
        "proposal": proposal,
        "effect": effect,
        "commit": sentences.merged_as(effect) if effect else "",
        "checks": checks_of(proposal.checks) if proposal and proposal.checks else None,
        "lessons": rows.uses,
        "lesson_from_here": rows.lesson,
    }


def _signing(rows: Rows, user: User, mine: Mine) -> dict[str, Any]:
    """Return whether it waits for this person's signature, else for whose; and who signs, or signed."""
    approval: Any = rows.approval
    required = Required.sealed({"policy": approval.sealed_policy}) if approval else None
    over = approval is not None and approval.state == ApprovalState.APPROVED
    counted = counting.among(rows.agreed, {person.pk for person in rows.signers})
    left = [person for person in rows.signers if not person.signed]
    signed = [person for person in rows.signers if person.signed]
    return {
        "may_sign": _waits_for(user, rows, mine),
        "waits_for": signers.left_of(left, required, counted, signed),
        "signers": _signed(rows, counted, approval.decided_by)
        if over
        else signers.left_of(rows.signers, required),
    }


def _signed(rows: Rows, counted: Counted, last: User) -> str:
    """Name whose signatures count: while it can be undone as things are now, then as they were."""
    if rows.effect is not None and rows.effect.state == EffectState.PLANNED:
        count = [row.signer for row in rows.agreed if row.signer_id in counted.signers]
    else:  # who decided it had their right back by then
        count = [
            row.signer
            for row in rows.agreed
            if row.signer_id not in rows.lapsed or row.signer == last
        ]
    return " and ".join(sorted(person.display_name for person in count))


def _may_undo(effect: Any, task: Task, mine: Mine) -> bool:
    """Tell whether this person may undo what was approved: any tech lead, inside the window."""
    return effect is not None and effect.may_be_undone and task.project_id in mine.led


def _waits_for(user: User, rows: Rows, mine: Mine) -> bool:
    """Tell whether the newest approval asks this person: they may sign it, and have not."""
    asked: Any = rows.approval
    if asked is None or asked.state != ApprovalState.PENDING or not asked.asks:
        return False
    return bool(rights.may_each([asked], user, mine))


def _pane(steps: list[Step], focus: Step | None, query: Mapping[str, str]) -> dict[str, Any]:
    """Return whom the live pane shows, and whose output there is besides."""
    return {
        "focus": focus,
        "picked": focus is not None and str(focus.pk) == query.get("agent"),
        "watched": [step for step in steps if step.attempt or step.started_at],
    }


def _meters(task: Task, rows: Rows, focus: Step | None, hold: Hold | None) -> list[meters.Meter]:
    tries = rows.tries.get(focus.pk, []) if focus else []
    now = meters.Now(seconds=rows.seconds, held=hold is not None, unpriced=rows.unpriced)
    return meters.meters_of(task, focus, tries[-1] if tries else None, now)


def _said(task: Task, steps: list[Step], rows: Rows) -> dict[str, Any]:
    """Return what happens now, for eyes and for a screen reader."""
    tools = {task.pk: rows.asking[0].snapshot["call"]["tool"]} if rows.asking else {}
    facts = sentences.Facts(pauses={}, questions={task.pk: rows.questions}, effects={}, calls=tools)
    sentence = queueing.sentence_of(task, steps) or sentences.sentence_of(task, steps, facts)
    word = sentences.word_of(task, rows.questions, rows.effect)
    return {
        "sentence": sentence,
        "spoken": f"{task.label}: {sentence or word or task.get_state_display()}",
        "called": sentences.call_of(task, rows.questions),
    }


def _goals(steps: list[Step], proposal: Proposal | None) -> dict[str, Any]:
    found = goals.goals_of(steps, proposal)
    return {"goals": found, "verified": sum(goal.verified for goal in found)}


def _held(task: Task, user: User, mine: Mine, rows: Rows, hold: Hold | None) -> dict[str, Any]:
    """Return how the task looks, and what holds it up if a person does."""
    leads = task.project_id in mine.led
    word = queueing.word_of(task, rows.steps) or _word(task, user, mine, rows)
    beside = held.beside(task)
    return {
        "look": held.look(hold) if hold and not beside else looks.of_task(task, word=word),
        "hold": hold,
        "hold_look": held.look(hold) if hold and beside else None,
        "hold_until": held.until(hold) if hold else "",
        "paused": hold is not None and hold.scope == HoldScope.TASK,
        "priorities": Priority.choices if leads and not task.over else (),
        "priority_word": word_of(task),
    }


def _acts(
    task: Task, user: User, mine: Mine, rows: Rows, typed: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what this person may do about the task, and what they are asked."""
    may_act = user.pk == task.requester_id or task.project_id in mine.led
    return {
        "may_act": may_act,
        "may_undo_approval": _may_undo(rows.effect, task, mine),
        "reverted_by": rows.reverted_by,
        "finished": reading.finished(task),
        "typed": typed,
        "questions": questions.questions_of(task, rows.questions, typed.get("answers", {})),
        "asking": rows.asking,
        "undoable": rows.undoable,
        "may_undo": rights.may_each(rows.undoable, user, mine),
        "sent_again": reopenable(task, rows.steps) if may_act else set(),
        "no_model": bool(rows.questions) and settings.COUNTERSIGN_MODEL == "rehearsal",
    }


def _graph(task: Task, shown: list[Step], rows: Rows, shown_round: int) -> graph.Graph:
    approval, proposal = rows.approval, rows.proposal
    here = approval is not None and approval.proposal.round == shown_round
    return graph.graph_of(
        task,
        branches.still_shown(shown),
        {key: tries[-1] for key, tries in rows.tries.items()},
        seconds={key: worked(tries) for key, tries in rows.tries.items()},
        approval=approval if here else None,
        edit=rows.edit if here else None,
        effect=rows.effect if shown_round == task.round else None,
        signers=signers.one(rows.signers),
        kind=proposal.kind if proposal else ProposalKind.CHANGE,
    )


def price_url(user: User) -> str:
    """Return where somebody who may sets the price of a model."""
    may = user.is_staff and user.has_perm("agents.change_modelprofile")
    return reverse("admin:agents_modelprofile_changelist") if may else ""


def _round(task: Task, wanted: str | None) -> int:
    number = int(wanted) if wanted and wanted.isdecimal() and len(wanted) < 4 else task.round
    return min(max(number, 1), task.round)


def _word(task: Task, user: User, mine: Mine, rows: Rows) -> str:
    if task.state == TaskState.REVIEW and _waits_for(user, rows, mine):
        return "Waits for your signature"
    return sentences.word_of(task, rows.questions, rows.effect)
