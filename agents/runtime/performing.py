"""Thinks about one attempt of one step: rows become an agent, its run becomes an outcome."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent, ToolOutput
from pydantic_ai.exceptions import AgentRunError, ModelRetry, UnexpectedModelBehavior
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.run import AgentRunResultEvent
from pydantic_ai.usage import UsageLimits

from agents import extending, planning
from agents.messages import Plan, StepResult
from agents.models.tasks import Choice, Rule
from agents.runtime import checkpoints, ledger, prompting, providers, remembering, troubles
from agents.runtime.contract import Finished, NeedsHuman
from agents.runtime.database import in_db
from agents.runtime.exceptions import ModelMisnamed
from agents.runtime.guard import StepGuard
from agents.runtime.halting import Halted
from agents.runtime.streaming import Voice
from agents.runtime.toolsets import toolsets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_ai.messages import ModelMessage

    from agents.messages import Answer, ProposalDraft
    from agents.runtime.contract import Outcome, Work

REPAIRS = 2  # how often a model may correct an answer that fits no schema
_TOOL_REPAIRS = 50  # bounded by the turns; a limit per tool would end a run that is getting on
_NO_LIMITS = UsageLimits(request_limit=None)  # ours live in rows, so that they survive a crash
# Characters of one answer. Each piece is added by copying all before it: an answer without an
# end would take the time and memory of every other step.
MAX_ANSWER = 500_000


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
        messages, progress = await in_db(checkpoints.begin, work)
        guard = StepGuard(
            work=work,
            chosen=chosen,
            progress=progress,
            known=await in_db(ledger.known_tools, work),
            output_tool=checkpoints.OUTPUT_TOOLS[work.output.__name__],
        )
        return await _within_the_clock(guard, messages)
    except Halted as halted:
        return halted.outcome


async def _within_the_clock(guard: StepGuard, messages: list[ModelMessage]) -> Outcome:
    clock = asyncio.timeout(max(0.0, guard.work.deadline - time.monotonic()))
    try:
        async with clock:
            return await _think(guard, messages)
    except TimeoutError:
        if clock.expired():
            return guard.out_of_time()
        raise


async def _think(guard: StepGuard, messages: list[ModelMessage]) -> Outcome:
    work = guard.work
    prompt = None
    if not messages:
        recalled = await in_db(remembering.recalled_for, work)
        prompt = prompting.prompt(work, recalled)
    try:
        output = await _run(guard, prompt, messages)
    except UnexpectedModelBehavior as error:
        return _gave_up(guard, error)
    except RecursionError:
        return _gave_up(guard, UnexpectedModelBehavior("the answer's JSON nests too deep"))
    except (AgentRunError, ExceptionGroup) as error:
        return _trouble(guard, error)
    return _finished(guard, output)


async def _run(guard: StepGuard, prompt: str | None, messages: Sequence[ModelMessage]) -> Any:
    agent = _agent(guard)
    voice = Voice(task_id=guard.work.step.task_id, step_id=guard.work.step.pk)
    # One call after the other: an answer that edits and then runs the checks means that order.
    with agent.parallel_tool_call_execution_mode("sequential"):
        async with agent.run_stream_events(
            prompt, message_history=messages, usage_limits=_NO_LIMITS
        ) as events:
            length = 0
            async for event in events:
                length += _length_of(event)
                if length > MAX_ANSWER:
                    raise UnexpectedModelBehavior(
                        f"one answer had more than {MAX_ANSWER:,} characters; it was cut off"
                    )
                match event:
                    case PartStartEvent(index=index, part=TextPart(content=text)):
                        voice.say(text if index == 0 else f"\n\n{text}")
                    case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                        voice.say(text)
                    case AgentRunResultEvent(result=result):
                        return result.output
                if guard.spoke:
                    guard.spoke = False
                    length = 0
                    voice.finish()
    raise UnexpectedModelBehavior("the run ended without a result")


def _length_of(event: object) -> int:
    """Return how many characters of an answer the event brings: text, thoughts or arguments."""
    match event:
        case PartStartEvent(part=new) | PartDeltaEvent(delta=new):
            names = ("content", "args", "content_delta", "args_delta")
            texts = (getattr(new, name, None) for name in names)
            return sum(len(text) for text in texts if isinstance(text, str))
    return 0


def _agent(guard: StepGuard) -> Agent[None, Any]:
    work, chosen = guard.work, guard.chosen
    agent: Agent[None, Any] = Agent(
        chosen.model,
        name=work.step.agent.slug,
        instructions=prompting.instructions(work, guard.output_tool),
        output_type=ToolOutput(
            work.output, name=guard.output_tool, description=_HAND_IN, strict=False
        ),
        toolsets=toolsets(work, guard.known),
        capabilities=[guard],
        model_settings=chosen.settings,
        retries={"tools": _TOOL_REPAIRS, "output": REPAIRS},
    )
    if work.output in _VALIDATED:
        agent.output_validator(_validator(work))
    return agent


_HAND_IN = "Hand in your answer and end your work. Call it once, when nothing else is left to do."


_VALIDATED = (Plan, StepResult)


def _validator(work: Work) -> Any:
    async def usable(output: Plan | StepResult) -> Plan | StepResult:
        found = await in_db(_problems, work, output)
        if found:
            listed = "\n".join(f"- {problem}" for problem in found)
            what = "This plan" if isinstance(output, Plan) else "This result"
            raise ModelRetry(f"{what} cannot be carried out:\n{listed}\nSubmit it corrected.")
        return output

    return usable


def _problems(work: Work, output: Plan | StepResult) -> list[str]:
    if isinstance(output, Plan):
        return planning.problems(output, work.step.task)
    return extending.problems(output, work.step)


def _finished(guard: StepGuard, output: Plan | StepResult | Answer | ProposalDraft) -> Outcome:
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
