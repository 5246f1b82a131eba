"""Persists how attempts ended, fenced by the attempt number: in one transaction those that end as
planned, the rest each in one of its own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError, transaction

from agents import assembling, dispatch, ending, fan_in, planning, storable
from agents.events import Kind
from agents.lifecycle import StepState
from agents.messages import Plan, StepResult
from agents.models.tasks import Rule
from agents.runtime.contract import Finished, Interrupted, NeedsHuman
from agents.writing import Writes
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from agents.models import Attempt, Step
    from agents.runtime.contract import Outcome

    Publish = Callable[[Writes, Step, int], object]

logger = logging.getLogger(__name__)

_Held = dict["uuid.UUID", tuple["Step", list["Step"]]]  # by step: it, and what waits for it


@dataclass(frozen=True, kw_only=True, eq=False)
class Settlement:
    """How one attempt ended, with what was made of it outside the transaction."""

    attempt: Attempt
    outcome: Outcome
    result_commit: str = ""
    publish: Publish | None = None  # writes the rows of a proposal of this version
    base: str = ""  # main when a plan was made: its task begins with it

    @property
    def planned(self) -> bool:
        """Tell whether it ended as nearly all do: such attempts are written together."""
        match self.outcome:
            case Finished(output=StepResult() as result):
                return result.status == "done" and not result.extra_steps
            case Finished(output=Plan()):
                return True
        return self.publish is not None


def settle(attempt: Attempt, outcome: Outcome, **made: Any) -> bool:
    """Write the outcome of one attempt; False when the attempt is stale and wrote nothing."""
    return settle_one(Settlement(attempt=attempt, outcome=outcome, **made))


def settle_one(ended: Settlement) -> bool:
    """Write how one attempt ended, as `settle` does."""
    (settled,) = settle_all([ended])
    if isinstance(settled, Exception):
        raise settled
    return settled


def settle_all(ended: Sequence[Settlement]) -> list[bool | Exception]:
    """Write how attempts ended, giving for each what `settle` returns or raises.

    Locks steps and their dependents, then tasks. An error of one that ended as planned spoils all
    of those: it is raised, and nothing is written. Written already, an attempt is stale.
    """
    planned = [each for each in ended if each.planned]
    done: dict[int, bool | Exception] = dict(_together(planned)) if planned else {}
    for each in ended:
        if id(each) not in done:
            done[id(each)] = _alone(each)
    return [done[id(each)] for each in ended]


def _together(ended: Sequence[Settlement]) -> dict[int, bool]:
    """Write what ended as planned; what turned out otherwise under the locks is left out."""
    done: dict[int, bool] = {}
    with transaction.atomic():
        held = _locked(ended)
        failpoint("settle.locked")
        writes, staff = Writes(), planning.Staff()
        versions = assembling.versions_before(
            [held[each.attempt.step_id][0].task_id for each in ended if each.publish]
        )
        for each in ended:
            step, dependents = held[each.attempt.step_id]
            if _is_stale(each, step):
                done[id(each)] = False
            elif each.publish is not None:
                before = versions.get((step.task_id, step.task.round), 0)
                _propose(writes, each.publish, step, before + 1)
                done[id(each)] = True
            elif _goes_on(writes, each, step, dependents, staff):
                done[id(each)] = True
        writes.write()
        failpoint("settle.written")
    return done


def _alone(each: Settlement) -> bool | Exception:
    try:
        with transaction.atomic():
            step, dependents = _locked([each])[each.attempt.step_id]
            if _is_stale(each, step):
                return False
            match each.outcome:
                case Finished(output=Plan() as plan):
                    _refuse(step, plan)
                case _:
                    ending.write(step, each.outcome, each.result_commit, dependents)
    except (OperationalError, InterfaceError):
        raise  # it would be the same for each
    except Exception as error:  # noqa: BLE001  # whatever it is, it is this one's
        return error
    return True


def _locked(ended: Sequence[Settlement]) -> _Held:
    held = fan_in.lock_all([each.attempt.step_id for each in ended])
    locked = fan_in.lock_tasks({step.task_id for step, _ in held.values()})
    for step, dependents in held.values():
        for each in (step, *dependents):
            each.task = locked[each.task_id]  # one object: a move of one is seen by the next
    return held


def _is_stale(each: Settlement, step: Step) -> bool:
    stale = step.state != StepState.LEASED or step.attempt != each.attempt.number
    if stale:
        logger.info("attempt %s of step %s is stale", each.attempt.number, step.pk)
    return stale


def _goes_on(
    writes: Writes, each: Settlement, step: Step, dependents: list[Step], staff: planning.Staff
) -> bool:
    """Write a plan or a result of work; False for a plan that cannot be carried out any more."""
    match each.outcome:
        case Finished(output=Plan() as plan):
            if planning.problems(plan, step.task, staff):
                return False
            step.task.base_commit = each.base or step.task.base_commit
            planning.apply_plan(writes, step, plan, staff)
        case Finished(output=StepResult() as result):
            said = {"status": result.status, "summary": storable.text(result.summary)}
            writes.move_step(
                step,
                StepState.DONE,
                kind=Kind.STEP_FINISHED,
                data=said,
                result=storable.dumped(result),
                result_commit=each.result_commit,
            )
            writes.count_down(dependents)
    writes.finish_attempt(step)
    return True


def _propose(writes: Writes, publish: Publish, step: Step, version: int) -> None:
    publish(writes, step, version)
    writes.finish_attempt(step)
    transaction.on_commit(dispatch.ring_effects, robust=True)  # it is sealed there


def _refuse(step: Step, plan: Plan) -> None:
    """Ask a person about a plan that cannot be carried out; if it can be again, let it be tried."""
    wrong = planning.problems(plan, step.task)
    if not wrong:
        ending.write(step, Interrupted(), "", [])
        return
    evidence: dict[str, Any] = {"plan": storable.dumped(plan), "problems": wrong}
    detail = f"The plan cannot be carried out: {wrong[0]}"
    ending.ask(step, NeedsHuman(rule=Rule.INVALID_PLAN, detail=detail, evidence=evidence))
