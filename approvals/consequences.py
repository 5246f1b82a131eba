"""What follows from a verdict: effects, the next round, the end, and a lesson."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast
from uuid import UUID

from agents import rounds
from agents.events import Kind
from agents.lifecycle import TaskState
from agents.models import Hunk
from approvals import commenting
from approvals.decisions import Decision, sealed_hunks
from approvals.dispatch import ring_effects
from approvals.lifecycle import SignatureVerdict
from approvals.models import Approval, Effect
from memory import lessons
from memory.models import Source
from memory.texts import MAX_CHARACTERS
from projects.exceptions import InvalidInput
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from projects.models import User

SOURCES = {
    SignatureVerdict.APPROVE: (Source.USER_STATED, "your approval of"),
    SignatureVerdict.REQUEST_CHANGES: (Source.REVIEW_CHANGES, "your request for changes on"),
    SignatureVerdict.REJECT: (Source.REVIEW_REJECT, "your reject of"),
}


def follow(approval: Approval, decision: Decision, *, by: User, settles: bool) -> None:
    """Write what the verdict leads to, in the caller's transaction."""
    placed = commenting.place(approval, decision.comments)
    if decision.verdict != SignatureVerdict.REQUEST_CHANGES:
        commenting.keep(approval, decision, {}, placed, by=by)
    match decision.verdict:
        case SignatureVerdict.REQUEST_CHANGES:
            _send_back(approval, decision, placed, by=by)
        case SignatureVerdict.REJECT:
            approval.task.move(
                TaskState.REJECTED,
                kind=Kind.TASK_FINISHED,
                data={"approval": str(approval.pk), "reason": decision.note},
                reason=decision.note,
            )
        case _ if settles:
            plan_effects(approval, due=window_end(approval))
    _propose_lesson(approval, decision, by=by)


def window_end(approval: Approval) -> datetime:
    """Return when the undo window of a decision that was made now ends (database clock)."""
    wait = timedelta(seconds=approval.snapshot["policy"]["undo_seconds"])
    return cast("datetime", approval.decided_at) + wait


def plan_effects(approval: Approval, *, due: datetime) -> None:
    """Write the sealed effects as planned rows, to be carried out from `due` on."""
    for position, sealed in enumerate(approval.snapshot["effects"]):
        Effect.objects.create(
            approval=approval,
            position=position,
            kind=sealed["kind"],
            arguments=sealed,
            not_before=due,
        )
    failpoint("effect.planned")
    approval.task.move(
        TaskState.EXECUTING,
        data={"approval": str(approval.pk), "not_before": due.isoformat()},
    )
    ring_effects()


def _send_back(
    approval: Approval, decision: Decision, placed: Sequence[commenting.Placed], *, by: User
) -> None:
    """Open the next round: each hunk and line to its agent, the general note to those it concerns."""
    sealed = {hunk.id: hunk for hunk in sealed_hunks(approval.snapshot)}
    known = [hunk for hunk in decision.sent_back if hunk.id in sealed]
    goes_to = {hunk.id: hunk.goes_to or sealed[hunk.id].agent for hunk in known}
    kept = commenting.keep(approval, decision, goes_to, placed, by=by)
    rows = Hunk.objects.select_related("author_step__agent", "file").in_bulk(list(goes_to))
    who = by.display_name
    feedback = [
        rounds.Feedback(
            agent_slug=goes_to[hunk.id],
            note=hunk.note.strip() or f"{who} refused this hunk.",
            hunk=rows[UUID(hunk.id)],
            path=sealed[hunk.id].path,
            by=who,
            comment=str(kept.hunks[hunk.id].pk),
        )
        for hunk in known
    ]
    feedback += commenting.feedback_of(kept.lines, placed, by=by)
    if kept.whole:
        concerned = {*goes_to.values(), *(one.agent for one in placed)}
        said = str(kept.whole.pk)
        feedback += [
            rounds.Feedback(agent_slug=slug, note=kept.whole.note, by=who, comment=said)
            for slug in _readers(approval, decision, concerned)
        ]
    rounds.open_next(approval.task, feedback=feedback, by=by)


def _readers(approval: Approval, decision: Decision, concerned: set[str]) -> list[str]:
    """Return who gets the general note: those named, else those sent work back, else every author.

    Nobody to name (a report has no hunks) means everybody who worked: the empty slug.
    """
    took_part = {agent["slug"] for agent in approval.snapshot["agents"]}
    unknown = set(decision.agents) - took_part
    if unknown:
        raise InvalidInput("agents", f"{', '.join(sorted(unknown))} did not work on this.")
    authors = {hunk.agent for hunk in sealed_hunks(approval.snapshot)}
    readers = set(decision.agents) or concerned or authors
    return sorted(readers) if readers and "" not in readers else [""]


def _propose_lesson(approval: Approval, decision: Decision, *, by: User) -> None:
    """Propose what was said as a lesson; keep it when the person asked for that."""
    content = decision.lesson.strip()
    if not content and decision.verdict == SignatureVerdict.REJECT:
        content = decision.note.strip()
    if not content or not approval.project.memory_enabled:
        return
    source, label = SOURCES[SignatureVerdict(decision.verdict)]
    sent_back = {hunk.id for hunk in decision.sent_back}
    hunks = sealed_hunks(approval.snapshot)
    try:
        lesson = lessons.propose(
            approval.project,
            content=content
            if len(content) <= MAX_CHARACTERS
            else content[: MAX_CHARACTERS - 1] + "…",
            source=source,
            paths=sorted({hunk.path for hunk in hunks if hunk.id in sent_back})[
                : lessons.MAX_PATHS
            ],
            source_task=approval.task_id,
            source_approval=approval.pk,
            source_label=f"{label} {approval.task.label}",
            by=by,
            address=decision.address,
        )
    except InvalidInput as error:
        if decision.lesson.strip():
            raise InvalidInput("lesson", str(error)) from error
        return  # a reason that is no fit memory is still a reason
    if decision.keep_lesson and decision.lesson.strip():
        lessons.keep(lesson, by=by, address=decision.address)
