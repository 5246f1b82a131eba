"""Thinks about one attempt of one step: rows become an agent, its run becomes an outcome."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError
from pydantic_ai.exceptions import AgentRunError, ModelRetry, UnexpectedModelBehavior
from pydantic_ai.messages import ModelRequest, UserPromptPart

from agents import extending, planning
from agents.messages import Plan, StepResult
from agents.models.tasks import Choice, Rule
from agents.runtime import checkpoints, prompting, providers, remembering, troubles
from agents.runtime.batching import Together
from agents.runtime.contract import Finished, NeedsHuman
from agents.runtime.conversing import Conversation
from agents.runtime.exceptions import ModelMisnamed
from agents.runtime.guard import StepGuard
from agents.runtime.halting import Halted
from agents.runtime.offering import output_tool
from agents.runtime.streaming import Voice
from agents.runtime.toolsets import Toolbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_ai.messages import ModelMessage

    from agents.models import Step
    from agents.runtime.checkpoints import Progress
    from agents.runtime.contract import Outcome, Work
    from agents.runtime.conversing import HandedIn
    from memory.recall import Recalled


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """What an attempt begins with: nothing, or the conversation it goes on with."""

    messages: list[ModelMessage]
    progress: Progress
    recalled: list[Recalled]


async def perform(work: Work) -> Outcome:
    """Return how the attempt ended; trouble with models and tools is an outcome, not an error.

    Cancelled from outside it stops at once; every finished turn is stored.
    """
    try:
        chosen = providers.choose(work)
    except ModelMisnamed as error:
        options = (Choice.RETRY_WITH_NOTE, Choice.STOP)
        return NeedsHuman(rule=Rule.MODEL_REFUSED, detail=str(error), options=options)
    try:
        # Most attempts begin with nothing: they need not visit the database for it.
        anew = checkpoints.begins_anew(work) and not work.remembers
        begun = _begun(work) if anew else await _begin(work)
        guard = StepGuard(
            work=work,
            chosen=chosen,
            progress=begun.progress,
            output_tool=checkpoints.OUTPUT_TOOLS[work.output.__name__],
            voice=Voice(task_id=work.step.task_id, step_id=work.step.pk),
        )
        return await _within_the_clock(guard, begun)
    except Halted as halted:
        return halted.outcome


def _begin_together(works: Sequence[Work]) -> list[_Begun | Exception]:
    """Read in one visit to the database what attempts begin with that begin at the same moment."""
    begun: list[_Begun | Exception] = []
    for work in works:
        try:
            begun.append(_begun(work))
        except (OperationalError, InterfaceError):
            raise  # it would be the same for each
        except Exception as error:  # noqa: BLE001  # this attempt's; what others recalled is written
            begun.append(error)
    return begun


_begin = Together(_begin_together)


def _begun(work: Work) -> _Begun:
    messages, progress = checkpoints.begin(work)
    recalled = remembering.recalled_for(work) if work.remembers and not messages else []
    return _Begun(messages=messages, progress=progress, recalled=recalled)


async def _within_the_clock(guard: StepGuard, begun: _Begun) -> Outcome:
    clock = asyncio.timeout(max(0.0, guard.work.deadline - time.monotonic()))
    try:
        async with clock:
            return await _think(guard, begun)
    except TimeoutError:
        if clock.expired():
            return guard.out_of_time()
        raise


async def _think(guard: StepGuard, begun: _Begun) -> Outcome:
    messages = begun.messages
    if not messages:
        prompt = prompting.prompt(guard.work, begun.recalled)
        messages = [ModelRequest(parts=[UserPromptPart(content=prompt)])]
    try:
        output = await _run(guard, messages)
    except UnexpectedModelBehavior as error:
        return _gave_up(guard, error)
    except RecursionError:
        return _gave_up(guard, UnexpectedModelBehavior("the answer's JSON nests too deep"))
    except (AgentRunError, ExceptionGroup) as error:
        await guard.gate.failed(error)
        return _trouble(guard, error)
    return _finished(guard, output)


async def _run(guard: StepGuard, messages: list[ModelMessage]) -> HandedIn:
    work = guard.work
    async with contextlib.aclosing(Toolbox(work)) as toolbox:
        conversation = Conversation(
            guard=guard,
            toolbox=toolbox,
            output=output_tool(work.output, guard.output_tool),
            instructions=prompting.instructions(work, guard.output_tool),
            usable=partial(_usable, work),
            messages=messages,
        )
        return await conversation.until_handed_in()


async def _usable(work: Work, output: HandedIn) -> None:
    """Raise ModelRetry with every reason why an answer that fits the schema cannot be carried out."""
    if not isinstance(output, Plan | StepResult):
        return
    if isinstance(output, StepResult) and not output.extra_steps:
        return
    found = await _problems_of((work.step, output))
    if found:
        listed = "\n".join(f"- {problem}" for problem in found)
        what = "This plan" if isinstance(output, Plan) else "This result"
        raise ModelRetry(f"{what} cannot be carried out:\n{listed}\nSubmit it corrected.")


def _problems(handed_in: list[tuple[Step, Plan | StepResult]]) -> list[list[str]]:
    staff = planning.Staff()
    return [
        planning.problems(output, step.task, staff)
        if isinstance(output, Plan)
        else extending.problems(output, step)
        for step, output in handed_in
    ]


_problems_of = Together(_problems)


def _finished(guard: StepGuard, output: HandedIn) -> Outcome:
    blocked = isinstance(output, StepResult) and output.status == "blocked"
    most = guard.work.step.max_turns
    if blocked and guard.progress.turns >= most:
        # It was made to report; a person may rather give it more turns.
        return guard.tripped(
            Rule.MAX_TURNS,
            f"{guard.work.step.agent.name} used all {most} turns and is not done.",
            report=output.model_dump(mode="json"),
        )
    return Finished(output)


def _gave_up(guard: StepGuard, error: UnexpectedModelBehavior) -> Outcome:
    model = guard.chosen.label
    outcome = troubles.outcome_of(error, model=model)
    if not isinstance(outcome, NeedsHuman) or outcome.rule != Rule.INVALID_OUTPUT:
        return outcome
    if guard.work.output is not Plan or not isinstance(guard.last_answer, dict):
        evidence = {"answer": guard.last_answer}
        return troubles.invalid_output(error, model=model, evidence=evidence)
    return NeedsHuman(
        rule=Rule.INVALID_PLAN,
        detail=f"The plan of {model} cannot be carried out, also after it was told why. "
        "Nothing was begun.",
        evidence={"plan": guard.last_answer, "error": outcome.evidence["error"]},
        options=(Choice.RETRY_WITH_NOTE, Choice.STOP),
    )


def _trouble(guard: StepGuard, error: Exception) -> Outcome:
    if halted := _halted(error):
        raise halted
    return troubles.outcome_of(error, model=guard.chosen.label)


def _halted(error: BaseException) -> Halted | None:
    """Find our own signal inside a group some task group made of it."""
    if isinstance(error, Halted):
        return error
    inside = (_halted(each) for each in getattr(error, "exceptions", ()))
    return next((found for found in inside if found), None)
