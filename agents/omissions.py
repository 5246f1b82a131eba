"""What a person left out of a task: how it goes on without a step, and who is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import cautions, delegating, fan_in, storable
from agents.branches import branch
from agents.lifecycle import StepKind, StepState
from agents.models import Step, StepDependency

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projects.models import User

WARNING = "step_left_out"
_LONGEST_REASON = 500  # characters, of what others are told


def leave_out(step: Step, dependents: Iterable[Step], *, why: str, by: User) -> None:
    """Cancel a step and let those that wait for it go on without it.

    In the caller's transaction, with the step and its dependents locked.
    """
    reason = f"Left out by {by.display_name}: {storable.text(why)[:_LONGEST_REASON]}"
    step.move(StepState.CANCELLED, left_out=True, reason=reason, data={"reason": reason})
    if step.kind == StepKind.ANSWER:
        delegating.go_on_without(step, dependents)
        return
    bypass(step)
    fan_in.count_down(dependents)


def bypass(step: Step) -> None:
    """Let what needs a step without a commit build on what that step built on.

    Otherwise the work before it would be reached by nobody and be missing in the proposal.
    """
    before = step.needs.filter(state=StepState.DONE).values_list("pk", flat=True)
    after = StepDependency.objects.filter(needs=step).values_list("step_id", flat=True)
    edges = [StepDependency(step_id=one, needs_id=need) for one in after for need in before]
    StepDependency.objects.bulk_create(edges, ignore_conflicts=True)


def still(left_out: Iterable[Step], done: Iterable[Step]) -> list[Step]:
    """Return the steps a person left out that no finished one did since, in the given order."""
    later = {branch(step.key): step.round for step in sorted(done, key=lambda step: step.round)}
    return [step for step in left_out if later.get(branch(step.key), 0) <= step.round]


def result_of(step: Step) -> dict[str, Any]:
    """Return what others are told a step left behind; of one that was left out, that and why."""
    if step.left_out:
        return {"status": "left out", "summary": step.reason}
    return step.result or {}


def warnings(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Return one warning for each step that is missing in a proposal."""
    return [cautions.warning(WARNING, "", 0, sentence(step)) for step in steps]


def sentence(step: Step) -> str:
    """Say which step is missing and why."""
    return f"“{step.title}” ({step.agent.name}) is missing. {step.reason}"


def told(summary: str, steps: Iterable[Step]) -> str:
    """Return a summary that names every missing step, whether its author did or not."""
    missing = [step for step in steps if step.title not in summary]
    return "\n\n".join([summary, *(f"Not done: {sentence(step)}" for step in missing)])
