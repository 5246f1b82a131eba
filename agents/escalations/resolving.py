"""Takes a person's answer to an escalation; the task goes on exactly as that person chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from agents import dispatch, fan_in, omissions, parking, rounds, stopping, storable, takeovers
from agents.escalations import going_on
from agents.escalations.offering import candidates, offered
from agents.events import Kind
from agents.lifecycle import ESCALATION_MOVES, EscalationState, TaskState
from agents.models import Escalation, Step, Task
from agents.models.tasks import Choice
from projects import audit, characters, transitions
from projects.access import is_lead, require_member
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from agents.models import AgentVersion
    from agents.takeovers import HandedIn
    from projects.models import User

MAX_NOTE = 4_000  # characters
_TO_AGENTS = frozenset({Choice.RAISE_LIMIT_ONCE, Choice.RETRY_WITH_NOTE, Choice.REASSIGN})


class AlreadyAnswered(TransitionRefused):
    """Somebody else has answered this. Your choice changed nothing."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A checked answer, with what was looked up for it before any row was locked."""

    choice: Choice
    note: str
    by: User
    address: str | None
    version: AgentVersion | None = None  # of the agent that gets the step
    handed_in: HandedIn | None = None


def resolve(
    escalation: Escalation,
    *,
    choice: str,
    note: str = "",
    agent: str = "",
    commit: str = "",
    by: User,
    address: str | None = None,
) -> None:
    """Go on as a person chose; the task leaves needs_human with its last open escalation.

    `agent` is the slug of who gets the step, `commit` a commit or branch of the project's
    repository that holds a person's own work. Locks the task's steps, then the task; of several
    answers at once one counts. Raises AlreadyAnswered, InvalidInput, NotAllowed,
    RepositoryUnreachable.
    """
    check_right(escalation.task, by)
    answer = _checked(escalation, choice, note, agent, commit, by, address)
    with transaction.atomic():
        steps = _locked_steps(escalation)
        task = Task.objects.select_for_update(no_key=True).get(pk=escalation.task_id)
        for step in steps:
            step.task = task
        _mark(escalation, answer, task)
        mine = next((step for step in steps if step.pk == escalation.step_id), None)
        _carry_out(escalation, answer, task, mine, steps)
        failpoint("escalation.resolved")
        record(escalation, by=by, address=address)
        transaction.on_commit(dispatch.ring, robust=True)


def record(escalation: Escalation, *, by: User, address: str | None) -> None:
    """Write the audit entry of an answered escalation; in the caller's transaction, last."""
    facts = {"choice": escalation.choice, "rule": escalation.rule}
    if escalation.reassigned_to is not None:
        facts["agent"] = escalation.reassigned_to.slug
    audit.record(
        "escalation.resolved",
        subject=escalation,
        actor=by,
        project=escalation.task.project,
        address=address,
        **facts,
    )


def explain(escalation: Escalation) -> AlreadyAnswered | None:
    """Return the error that says who answered and how, or None while it is open."""
    now = Escalation.objects.select_related("resolved_by", "step").get(pk=escalation.pk)
    if now.state == EscalationState.OPEN:
        return None
    who = now.resolved_by.display_name if now.resolved_by else "Countersign"
    chose = now.get_choice_display().lower()
    return AlreadyAnswered(
        f"{who} answered this at {now.resolved_at:%Y-%m-%d %H:%M} UTC: {chose}. "
        "Your choice changed nothing."
    )


def check_right(task: Task, by: User) -> None:
    """Raise NotAllowed unless the person asked for the task or leads its project."""
    require_member(by, task.project)
    if by.pk != task.requester_id and not is_lead(by, task.project):
        raise NotAllowed("Only who asked for it or a tech lead of the project can answer this.")


def check_note(note: str, *, most: int = MAX_NOTE) -> str:
    """Return a note without outer blanks; raises InvalidInput for what cannot be kept."""
    if len(note) > most or storable.text(note) != note:
        raise InvalidInput("note", f"A note is plain text of at most {most:,} characters.")
    return "" if characters.says_nothing(note) else note.strip()


def check_choice(escalation: Escalation, choice: str) -> Choice:
    """Return the choice; raises AlreadyAnswered, or InvalidInput for one that is not offered."""
    if error := explain(escalation):
        raise error
    options = offered(escalation)
    if choice not in options:
        raise InvalidInput("choice", f"Choose one of: {', '.join(options)}.")
    return Choice(choice)


def check_stop(escalation: Escalation, *, note: str, agent: str, commit: str, by: User) -> None:
    """Raise what `resolve` would raise before it stopped the task."""
    check_right(escalation.task, by)
    _checked(escalation, Choice.STOP, note, agent, commit, by, None)


def _checked(
    escalation: Escalation,
    choice: str,
    note: str,
    agent: str,
    commit: str,
    by: User,
    address: str | None,
) -> Answer:
    chosen = check_choice(escalation, choice)
    takes_over = chosen == Choice.TAKE_OVER
    note = check_note(note, most=takeovers.MAX_TEXT if takes_over else MAX_NOTE)
    if agent and chosen != Choice.REASSIGN:
        raise InvalidInput("agent", "Only a step that is given to another agent names one.")
    if commit and not takes_over:
        raise InvalidInput("commit", "Only a step that you take over takes a commit.")
    version, handed_in = None, None
    if escalation.step is not None and chosen == Choice.REASSIGN:
        version = _candidate(escalation.step, agent)
    if escalation.step is not None and takes_over:
        handed_in = takeovers.prepare(escalation.step, text=note, commit=commit, by=by)
    return Answer(
        choice=chosen, note=note, by=by, address=address, version=version, handed_in=handed_in
    )


def _candidate(step: Step, slug: str) -> AgentVersion:
    able = {version.agent.slug: version for version in candidates(step)}
    if slug not in able:
        names = ", ".join(sorted(able)) or "nobody"
        raise InvalidInput("agent", f"Who may do this step instead: {names}.")
    return able[slug]


def _locked_steps(escalation: Escalation) -> list[Step]:
    # All steps of the task: stopping and planning anew lock them, and steps come before tasks.
    steps = Step.objects.select_related("version", "agent").filter(task=escalation.task_id)
    return list(steps.select_for_update(no_key=True, of=("self",)).order_by("pk"))


def _mark(escalation: Escalation, answer: Answer, task: Task) -> None:
    if error := explain(escalation):  # it was open before the rows were locked
        raise error
    agent = answer.version.agent if answer.version else None
    transitions.move(
        escalation,
        EscalationState.RESOLVED,
        moves=ESCALATION_MOVES,
        choice=answer.choice,
        note=answer.note,
        reassigned_to=agent,
        resolved_at=Now(),
        resolved_by=answer.by,
    )
    facts = {"escalation": str(escalation.pk), "choice": answer.choice, "note": answer.note}
    facts |= {"by": answer.by.display_name}
    if agent is not None:
        facts |= {"agent": agent.slug, "name": agent.name}
    task.record(Kind.ESCALATION_RESOLVED, facts, step=escalation.step)
    if answer.note and answer.choice in _TO_AGENTS:
        said = {"from": "person", "author": answer.by.display_name, "text": answer.note}
        task.record(Kind.MESSAGE, said, step=escalation.step)


def _carry_out(
    escalation: Escalation, answer: Answer, task: Task, step: Step | None, steps: list[Step]
) -> None:
    if answer.choice == Choice.STOP:
        reason = answer.note or "Stopped by a person who was asked."
        stopping.stop(task, by=answer.by, reason=reason, address=answer.address)
        return
    if going_on.thinks_now(escalation, task, step):
        rounds.plan_again(task, by=answer.by)  # the rehearsal's plan was only to look for files
        return
    to = task.state_before_human
    match answer.choice, step:
        case Choice.TAKE_OVER, Step() if answer.handed_in is not None:
            takeovers.hand_in(step, answer.handed_in, _waiting_for(step, steps))
        case Choice.GO_ON_WITHOUT, Step():
            why = answer.note or escalation.detail
            omissions.leave_out(step, _waiting_for(step, steps), why=why, by=answer.by)
        case Choice.REASSIGN, Step() if answer.version is not None:
            going_on.reassign(step, answer.version, escalation)
        case _:
            to = going_on.try_again(escalation, task, step) or to
    leave_needs_human(task, to)


def _waiting_for(step: Step, steps: list[Step]) -> list[Step]:
    dependents = set(step.dependents.values_list("step_id", flat=True))
    return [s for s in steps if s.pk in dependents and fan_in.counts(s)]


def leave_needs_human(task: Task, to: str) -> None:
    """Let the task go on at `to` when its last question is answered; it is locked.

    An agent's call that needs permission is a question, too.
    """
    if task.state != TaskState.NEEDS_HUMAN:
        return
    asked = task.escalations.filter(state=EscalationState.OPEN).exists() or parking.asks(task)
    if not asked:
        task.move(to, state_before_human="")
    elif to != task.state_before_human:
        Task.objects.filter(pk=task.pk).update(state_before_human=to)
        task.state_before_human = to
