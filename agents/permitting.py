"""What becomes of calls of tools outside: a person is asked, and the step goes on with the answers.

The floor above decides and calls; here are the ledger row, the step and the task of a call, which
`held` locks in the order of the whole floor.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from agents import dispatch, escalations, parking, storable
from agents.breakers import fingerprints
from agents.escalations.resolving import leave_needs_human
from agents.events import Kind
from agents.lifecycle import CALL_OPEN, EscalationState, StepState, TaskState, ToolCallState
from agents.models import Step, Task, ToolCall
from agents.models.tasks import Choice, Rule
from agents.runtime.redaction import excerpt
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

RESULT_CHARACTERS = 20_000
_SUMMARY = 300
UNDECIDED = "undecided"  # the class of error of a call that a person is to be asked about
_ABOUT_CALLS = (Rule.UNKNOWN_TOOL_CALL, Rule.BLOCKED)
_OVER = frozenset({StepState.DONE, StepState.CANCELLED})
_WITHDRAWN = ToolCallState.REFUSED  # what `parking` makes of a call whose step is stopped


@dataclass(frozen=True, kw_only=True)
class Held:
    """A call with its step and task, all as they are now; step and task are locked."""

    call: ToolCall
    step: Step
    task: Task

    @property
    def waits(self) -> bool:
        """Tell whether the step waits for this call: nobody stopped or answered it."""
        return self.call.state in CALL_OPEN and self.step.state == StepState.WAITING_HUMAN

    @property
    def stopped(self) -> bool:
        """Tell whether nobody will ever wait for this call again."""
        return self.call.state not in CALL_OPEN or self.step.state in _OVER


@contextmanager
def held(call_id: uuid.UUID) -> Iterator[Held]:
    """Lock the step of a call, then its task, for one transaction."""
    with transaction.atomic():
        steps = Step.objects.select_related("agent", "version").filter(attempts__tool_calls=call_id)
        step = steps.select_for_update(no_key=True, of=("self",)).get()
        tasks = Task.objects.select_related("project", "requester")
        task = tasks.select_for_update(no_key=True, of=("self",)).get(pk=step.task_id)
        step.task = task
        call = ToolCall.objects.select_related("attempt").get(pk=call_id)
        yield Held(call=call, step=step, task=task)


def ask(held: Held, facts: dict[str, Any]) -> None:
    """Put the call before a person: the task needs one until it is decided."""
    _move(held.call, ToolCallState.ASKED, ToolCallState.WAITING)
    held.task.record(Kind.CALL_ASKED, facts, step=held.step)
    if held.task.state != TaskState.NEEDS_HUMAN:
        held.task.move(TaskState.NEEDS_HUMAN, state_before_human=held.task.state)


def permit(held: Held, facts: dict[str, Any]) -> None:
    """Let the call be made; the step waits on until it is answered."""
    _move(held.call, ToolCallState.WAITING, ToolCallState.ASKED)
    held.task.record(Kind.CALL_DECIDED, facts, step=held.step)
    leave_needs_human(held.task, held.task.state_before_human)
    transaction.on_commit(dispatch.ring_effects, robust=True)


def decline(held: Held, facts: dict[str, Any], told: str, *, asks: bool = False) -> None:
    """Answer the call with why it is not made; with `asks` a person says how its step goes on."""
    held.task.record(Kind.CALL_DECIDED, facts, step=held.step)
    answer(held, ToolCallState.REFUSED, told, told, error=UNDECIDED if asks else "")


def withdraw(held: Held) -> None:
    """Close a call whose step is over, should it be open; nothing waits for it any more."""
    parking.forget([held.step])
    leave_needs_human(held.task, held.task.state_before_human)


def withdrawn(limit: int) -> list[uuid.UUID]:
    """Return the first calls whose step was stopped, of which nobody took notice yet."""
    rows = ToolCall.objects.filter(withdrawn=True).order_by("id")
    return list(rows.values_list("pk", flat=True)[:limit])


def notice(call_id: uuid.UUID) -> None:
    """Take notice that a call was withdrawn; twice: nothing more happens."""
    ToolCall.objects.filter(pk=call_id).update(withdrawn=False)


def answer(
    held: Held,
    to: ToolCallState,
    text: str,
    summary: str,
    arguments: Any = None,
    *,
    error: str = "",
) -> None:
    """Write what the model is told of a call; its step goes on with the last of its answers.

    `arguments` are those it was made with, when a person changed them. A call whose step was stopped
    while it was made is put right in the ledger and told; nothing goes on with it.
    """
    call, text = held.call, storable.text(text)[:RESULT_CHARACTERS]
    facts: dict[str, Any] = {"call": str(call.pk), "tool": call.tool, "server": call.server}
    facts |= {"summary": storable.text(summary)[:_SUMMARY], "state": to.value, "sandbox": ""}
    _move(
        call,
        to,
        *CALL_OPEN if held.waits else (*CALL_OPEN, _WITHDRAWN),
        result=text,
        result_fingerprint=fingerprints.of_result(text),
        error=fingerprints.of_error(text) if to == ToolCallState.FAILED else error,
        summary=facts["summary"],
        finished_at=Now(),
    )
    call.refresh_from_db(fields=["started_at", "finished_at"])
    took = (call.finished_at - call.started_at).total_seconds() if call.finished_at else 0.0
    given = call.arguments if arguments is None else arguments
    facts |= {"arguments": excerpt(given), "seconds": round(took, 2)}
    held.task.record(Kind.TOOL_FINISHED, facts, step=held.step)
    _go_on(held.step)
    leave_needs_human(held.task, held.task.state_before_human)


def _go_on(step: Step) -> None:
    """Let the step go on when its last call is answered, unless a person is to be asked about one."""
    questions = step.escalations.filter(state=EscalationState.OPEN)
    if step.state != StepState.WAITING_HUMAN or parking.open_calls(step).exists():
        return
    if questions.exists():
        return
    if left := _unasked(step):
        _ask_about(step, left)
        return
    if step.waits:  # the agent it asked beside them makes it ready
        step.move(StepState.WAITING, data={"why": "answered"}, reason="")
        return
    step.move(StepState.READY, data={"why": "answered"}, reason="", available_at=Now())
    transaction.on_commit(dispatch.ring, robust=True)


def _unasked(step: Step) -> list[ToolCall]:
    """Return the calls that may have landed, or that nobody decided on where the policy has a person
    asked then, and of which nobody was asked yet."""
    told: set[str] = set()
    for evidence in step.escalations.filter(rule__in=_ABOUT_CALLS).values_list(
        "evidence", flat=True
    ):
        told |= set(evidence.get("calls", ()))
    # Of our own tools nothing is written when they die.
    unknown = Q(state=ToolCallState.UNKNOWN) & ~Q(result="")
    undecided = Q(state=ToolCallState.REFUSED, error=UNDECIDED)
    rows = ToolCall.objects.filter(unknown | undecided, attempt__step=step).order_by("id")
    return [row for row in rows if str(row.pk) not in told]


def _ask_about(step: Step, calls: list[ToolCall]) -> None:
    unknown = [call for call in calls if call.state == ToolCallState.UNKNOWN]
    first, *_ = about = unknown or calls
    names = ", ".join(dict.fromkeys(call.tool for call in about))
    if unknown:
        rule = Rule.UNKNOWN_TOOL_CALL
        detail = f"Whether {names} took effect is not known: {first.result} It was not repeated; "
    else:
        rule = Rule.BLOCKED
        detail = f"Nobody decided in time whether {names} may be called. Nothing was called; "
    escalations.raise_for(
        step,
        rule=rule,
        detail=f"{detail}everything before it is kept.",
        evidence={
            "tool": first.tool,
            "arguments": first.arguments,
            "calls": [str(call.pk) for call in calls],
        },
        options=(Choice.RETRY_WITH_NOTE, Choice.STOP),
    )


def _move(call: ToolCall, to: ToolCallState, *before: ToolCallState, **facts: Any) -> None:
    """Change the row by conditional UPDATE; raises TransitionRefused when somebody was faster."""
    found = ToolCall.objects.filter(pk=call.pk, state__in=before)
    if not found.update(state=to, **facts):
        raise TransitionRefused(f"The call of {call.tool} has been answered or withdrawn.")
    call.state = to
