"""What a person may choose: by the rule, the kind of step, and who else could do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents import planning
from agents.lifecycle import StepKind, StepState
from agents.models.tasks import Choice, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.models import AgentVersion, Escalation, Step, Task

# Where a step has a counter of its own, and what it was given of it.
EXTRA = {
    Rule.MAX_TURNS: ("extra_turns", "max_turns"),
    Rule.WALL_CLOCK: ("extra_seconds", "max_seconds"),
    Rule.BUDGET: ("extra_tokens", "max_tokens"),
}
# SQL: the task of the row named `step` lets it begin, also beside a sibling's open question. Not
# beside one about the whole task, nor about time or money: those the siblings share.
TASK_GOES_ON = """EXISTS (
    SELECT FROM agents_task task WHERE task.id = step.task_id
    AND (task.state IN ('queued', 'planning', 'working', 'assembling')
        OR (task.state = 'needs_human' AND task.state_before_human = 'working'
            AND step.kind IN ('work', 'answer')
            AND NOT EXISTS (
                SELECT FROM agents_escalation open
                WHERE open.task_id = task.id AND open.state = 'open'
                AND (open.step_id IS NULL OR open.rule IN ('wall_clock', 'budget'))))))"""
_WORK = frozenset({StepKind.WORK, StepKind.ANSWER})
_OF_STEPS = (Choice.REASSIGN, Choice.TAKE_OVER, Choice.GO_ON_WITHOUT)


def options_for(rule: str, step: Step | None = None) -> tuple[Choice, ...]:
    """Return what a person may choose when this rule tripped, at this step or at the task."""
    raisable = (Choice.RAISE_LIMIT_ONCE,) if rule in EXTRA else ()
    return (*raisable, Choice.RETRY_WITH_NOTE, *of_step(step), Choice.STOP)


def completed(given: Iterable[str], rule: str, step: Step | None) -> list[str]:
    """Return the options of an escalation: the given ones, and what fits the step in any case."""
    if not (mine := [Choice(one) for one in given]):
        return list(options_for(rule, step))
    offers = {*mine, *of_step(step)}
    return [choice for choice in Choice if choice in offers]


@dataclass(frozen=True, kw_only=True)
class Company:
    """Who and what there is beside a step, read once for all questions of a task."""

    specialists: list[AgentVersion]
    work: list[Step]

    @classmethod
    def of(cls, task: Task) -> Company:
        """Read it; steps that were loaded with the task are not read again."""
        work = [step for step in task.steps.all() if step.kind == StepKind.WORK]
        return cls(specialists=list(planning.specialists(task).values()), work=work)

    def goes_on_without(self, step: Step) -> bool:
        """Tell whether there is other work to propose."""
        others = [other for other in self.work if other.pk != step.pk]
        return any(other.state != StepState.CANCELLED for other in others)


def of_step(step: Step | None, company: Company | None = None) -> tuple[Choice, ...]:
    """Return the ways on that only an agent's own work has; reads rows."""
    if step is None or step.kind not in _WORK:
        return ()
    if step.kind == StepKind.ANSWER:
        return Choice.TAKE_OVER, Choice.GO_ON_WITHOUT  # the asker goes on
    company = company or Company.of(step.task)
    possible = {
        Choice.REASSIGN: bool(candidates(step, company)),
        Choice.TAKE_OVER: True,
        Choice.GO_ON_WITHOUT: company.goes_on_without(step),
    }
    return tuple(choice for choice in _OF_STEPS if possible[choice])


def offered(escalation: Escalation, company: Company | None = None) -> list[str]:
    """Return which of an escalation's options can be chosen as things stand now."""
    step = escalation.step
    # As long as an agent answers it, nobody else gets the step or ends it: that were in vain.
    now = () if step is not None and step.waits else of_step(step, company)
    return [one for one in escalation.options if one not in _OF_STEPS or one in now]


def candidates(step: Step, company: Company | None = None) -> list[AgentVersion]:
    """Return who else may do this step: enabled specialists that the request allows."""
    if step.kind != StepKind.WORK:
        return []
    company = company or Company.of(step.task)
    return [version for version in company.specialists if version.agent_id != step.agent_id]
