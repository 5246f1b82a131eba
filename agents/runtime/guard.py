"""Stands between a model and the world: limits, notes, grants, ledger, checkpoints."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart

from agents.breakers.calls import PLATFORM, Tripped, Warned
from agents.breakers.fingerprints import of_error
from agents.breakers.reserving import Refused
from agents.limits import attempt_trip
from agents.models import ToolCall
from agents.models.tasks import Choice, Rule
from agents.runtime import asking, checkpoints, entries, ledger, prompting, troubles, turns
from agents.runtime.admitting import Gate
from agents.runtime.arguments import arguments_of, cleaned_part, handed_in
from agents.runtime.batching import to_the_end
from agents.runtime.contract import Interrupted, NeedsHuman, TryAgain
from agents.runtime.database import in_db
from agents.runtime.files import in_files
from agents.runtime.halting import Halted
from agents.runtime.redaction import clean
from agents.runtime.summaries import broken, sandbox_of, summary_of
from agents.runtime.unwinding import telling
from agents.runtime.watching import Watch
from projects.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from pydantic_ai.messages import ModelMessage

    from agents.runtime.checkpoints import Progress
    from agents.runtime.contract import Work
    from agents.runtime.offering import ModelCall
    from agents.runtime.providers import Chosen
    from agents.runtime.streaming import Voice

    Act = Callable[[str, dict[str, Any]], Coroutine[object, object, Any]]

logger = logging.getLogger(__name__)

_RAISE: tuple[str, ...] = (Choice.RAISE_LIMIT_ONCE, Choice.RETRY_WITH_NOTE, Choice.STOP)
# More money would not give it a price.
_UNPRICED: tuple[str, ...] = (Choice.RETRY_WITH_NOTE, Choice.STOP)


@dataclass(kw_only=True, eq=False)
class StepGuard:
    """Holds one attempt to its limits and grants, and keeps what it did."""

    work: Work
    chosen: Chosen
    progress: Progress
    output_tool: str
    voice: Voice
    gate: Gate = field(init=False)
    watch: Watch | None = None  # begun with the first turn or call
    last_calls: list[str] = field(default_factory=list)
    last_answer: Any = None  # the arguments of the output tool, valid or not

    def __post_init__(self) -> None:
        """Put the gate before the model calls."""
        self.gate = Gate(work=self.work, chosen=self.chosen, progress=self.progress)

    # Before a turn

    async def before_turn(self, call: ModelCall) -> tuple[ModelCall, list[str]]:
        """Stop where a limit says so; otherwise return the call as it may be made, and what to tell.

        Told are notes of people and how many turns are left. Raises Halted.
        """
        if self.work.draining():
            raise Halted(Interrupted())
        warning = await self._stop_loops()
        self._stop_at_limits()
        outlook = await self.gate.enter(call)
        self._stop_unaffordable(outlook)
        self.progress.seen_seq = outlook.seen_seq  # kept with the answer to it
        notice = prompting.turn_notice(
            turn=self.progress.turns + 1,
            most=self.work.step.max_turns,
            output_tool=self.output_tool,
        )
        told = [warning, *(prompting.note(note) for note in outlook.notes), notice]
        settings = self.gate.fitted(call.settings)
        return replace(call, settings=settings), [text for text in told if text]

    @property
    def last_turn(self) -> bool:
        """Tell whether the next answer is the last, for which no tools are shown."""
        return self.progress.turns + 1 >= self.work.step.max_turns

    @property
    def past_last_turn(self) -> bool:
        """Tell whether the newest answer was the last, for which no tools were shown."""
        return self.progress.turns >= self.work.step.max_turns

    def _stop_at_limits(self) -> None:
        step, version = self.work.step, self.work.step.version
        trip = attempt_trip(
            turns=self.progress.turns,
            max_turns=step.max_turns,
            tokens=self.progress.tokens,
            max_tokens=version.max_tokens + step.extra_tokens,
        )
        if trip is not None:
            facts: dict[str, Any] = {"scope": "step", "name": trip.name, "threshold": trip.limit}
            facts["observed"] = trip.used
            raise Halted(self.tripped(trip.rule, f"{self._name}: {trip.detail}.", **facts))
        if time.monotonic() >= self.work.deadline:
            raise Halted(self.out_of_time())

    def _stop_unaffordable(self, outlook: checkpoints.Outlook) -> None:
        if trip := outlook.trip:
            facts: dict[str, Any] = {
                "scope": "task",
                "name": trip.name,
                "limit": trip.limit,
                "used": trip.used,
            }
            facts |= {"threshold": trip.limit, "observed": trip.used}
            raise Halted(self.tripped(trip.rule, f"The whole task: {trip.detail}.", **facts))
        refused = outlook.reserved
        if not isinstance(refused, Refused):
            return
        whose = "The whole task" if refused.evidence["scope"] == "task" else self._name
        if refused.unpriced:
            whose = self.chosen.label
        detail, options = f"{whose}: {refused.detail}.", _UNPRICED if refused.unpriced else _RAISE
        raise Halted(self.tripped(Rule.BUDGET, detail, options=options, **refused.evidence))

    @property
    def _name(self) -> str:
        return self.work.step.agent.name

    async def _stop_loops(self) -> str:
        """Return what the model should hear about its last turns; raises Halted over a loop."""
        verdict = (await self._watched()).before_turn()
        if isinstance(verdict, Tripped):
            raise Halted(self.looped(verdict))
        if verdict is None:
            return ""
        await in_db(ledger.warn, self.work, verdict)
        return verdict.text

    async def _watched(self) -> Watch:
        if self.watch is None:
            self.watch = await Watch.begin(self.work, self.progress, self.work.known)
        return self.watch

    def tripped(
        self, rule: str, detail: str, *, options: tuple[str, ...] = _RAISE, **evidence: Any
    ) -> NeedsHuman:
        """Return the escalation for a limit, with what was used and done last."""
        usage: dict[str, float] = {
            "turns": self.progress.turns,
            "max_turns": self.work.step.max_turns,
        }
        usage |= {"tokens": self.progress.tokens, "tool_calls": self.progress.tool_calls}
        usage |= {"usd": float(self.progress.usd)}
        return NeedsHuman(
            rule=Rule(rule),
            detail=f"{detail} Everything up to here is kept.",
            evidence={**evidence, "last_calls": self.last_calls[-5:], "usage": usage},
            options=options,
        )

    def looped(self, trip: Tripped) -> NeedsHuman:
        """Return the escalation for a loop, with the calls that make it one."""
        detail = f"{self._name} {trip.detail}."
        return self.tripped(trip.rule, detail, options=(), **trip.evidence())

    def out_of_time(self) -> NeedsHuman:
        """Return the escalation for the wall clock."""
        return self.tripped(Rule.WALL_CLOCK, f"{self._name} is out of time.")

    # After a turn

    async def after_turn(
        self, messages: Sequence[ModelMessage], response: ModelResponse, took: checkpoints.Took
    ) -> ModelResponse:
        """Store the answer and its cost before any of its tool calls act; return it as stored."""
        if response.state != "complete":
            raise Halted(TryAgain(reason=f"{self.chosen.label}: the answer broke off"))
        response = replace(response, parts=[cleaned_part(part) for part in response.parts])
        failpoint("turn.answered")
        turn = self._turn([*messages, response], response, took)
        await turns.saved(self.work, self.progress, turn)
        failpoint("turn.stored")
        await self.gate.answered()
        self.last_answer = handed_in(response, self.output_tool)
        self.voice.finish()  # the message is an event now
        if turn.refused and (trip := (await self._watched()).keep_refused(turn.refused)):
            raise Halted(self.looped(trip))
        if tight := self.gate.cut(response):
            detail = f"{self._name}: the answer ended early, for no more of it could be paid."
            raise Halted(self.tripped(Rule.BUDGET, detail, **tight))
        if response.finish_reason == "length":  # another answer of that length would end alike
            raise Halted(troubles.cut_answer("finish_reason: length", self.chosen.label))
        return response

    def _turn(
        self, messages: list[ModelMessage], response: ModelResponse, took: checkpoints.Took
    ) -> checkpoints.Turn:
        texts = [part.content for part in response.parts if isinstance(part, TextPart)]
        thoughts = [part.content for part in response.parts if isinstance(part, ThinkingPart)]
        # FunctionModel estimates tokens; a rehearsal used none.
        paid = not self.chosen.rehearsal
        return checkpoints.Turn(
            messages=messages,
            text="\n\n".join(text for text in texts if text.strip()),
            thinking="\n\n".join(text for text in thoughts if text.strip()),
            model=self.chosen.name_of(response),
            input_tokens=response.usage.input_tokens if paid else 0,
            output_tokens=response.usage.output_tokens if paid else 0,
            usd=self.chosen.usd(response),
            paid=paid,
            took=took,
            refused=self._not_granted(messages, response),
        )

    def _not_granted(
        self, messages: list[ModelMessage], response: ModelResponse
    ) -> tuple[ToolCall, ...]:
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        allowed = {self.output_tool, *self.work.known}
        index = _answers(messages) - 1
        return tuple(
            ledger.refused(self.work, index, call.tool_call_id, call.tool_name, arguments_of(call))
            for call in calls
            if call.tool_name not in allowed
        )

    # A tool call

    async def called(
        self,
        messages: Sequence[ModelMessage],
        call: ToolCallPart,
        arguments: dict[str, Any],
        act: Act,
    ) -> ledger.Answer:
        """Answer a call from the ledger, or record it, carry it out and record what it gave."""
        asked = ledger.Asked(
            response=_answers(messages) - 1,
            call_id=call.tool_call_id,
            tool=self.work.known[call.tool_name],
            arguments=arguments,
        )
        answer = await self._answer(asked, act)
        self.last_calls.append(f"{call.tool_name}: {answer.summary or answer.text[:120]}")
        return answer

    async def _answer(self, asked: ledger.Asked, act: Act) -> ledger.Answer:
        most = most_tool_calls(self.work)
        beginning = entries.Beginning(
            work=self.work, progress=self.progress, asked=asked, most=most
        )
        begun = await entries.begun(beginning)
        if isinstance(begun, ToolCall):
            return await self._carry_out(begun, asked, act)
        if begun is None:
            detail = f"{self._name}: {most} of {most} tool calls used."
            raise Halted(self.tripped(Rule.MAX_TURNS, detail))
        if trip := (await self._watched()).trip():
            # The worker died between the call that closed the loop and the escalation over it.
            raise Halted(self.looped(trip))
        return begun

    async def _carry_out(self, row: ToolCall, asked: ledger.Asked, act: Act) -> ledger.Answer:
        failpoint("tool.started")
        began = time.monotonic()
        if asked.tool.outside:
            return ledger.Answer(text="", waits=True)
        if asking.asks(asked):
            answer = await asking.ask(self.work, row, asked)
            if answer.asks is not None:
                return answer
        else:
            answer = await self._act(asked, act)
        if asked.tool.writes and not answer.failed and self.work.workspace is not None:
            tree = await in_files(self.work.workspace.snapshot)
            answer = replace(answer, tree=tree)
        if answer.failed and not answer.error:
            answer = replace(answer, error=of_error(answer.text))
        failpoint("tool.acted")
        return await self._judged(row, answer, seconds=time.monotonic() - began)

    async def _judged(
        self, row: ToolCall, answer: ledger.Answer, *, seconds: float
    ) -> ledger.Answer:
        """Store what a call gave, with a warning if it begins to go in circles."""
        watch = await self._watched()
        verdict = await watch.judge(row, answer)
        warned = verdict if isinstance(verdict, Warned) else None
        ending = entries.Ending(
            work=self.work, row=row, answer=answer, seconds=seconds, warned=warned
        )
        await to_the_end(entries.finished(ending))
        failpoint("tool.finished")
        watch.keep(row, answer, warned)
        if isinstance(verdict, Tripped):
            raise Halted(self.looped(watch.trip() or verdict))
        return replace(answer, text=ledger.told(answer, warned))

    def _abandon(self) -> None:
        if self.work.workspace is not None:
            self.work.workspace.abandoned.set()  # a thread cannot be cancelled: it is told

    async def _act(self, asked: ledger.Asked, act: Act) -> ledger.Answer:
        try:
            result = await telling(act(asked.tool.name, asked.arguments), self._abandon)
        except (ToolFailed, ModelRetry) as refusal:
            return _failure(refusal.message, asked.tool.name)
        except Halted:
            raise
        except Exception:
            # What broke is ours, not the model's: the log has it, the model learns that it failed.
            logger.exception("tool %s failed", asked.tool.name)
            text = f"{asked.tool.name} failed inside Countersign. Try another way."
            return replace(_failure(text, asked.tool.name), error=PLATFORM)
        text = result if isinstance(result, str) else _as_text(result)
        return ledger.Answer(
            text=ledger.shortened(text),
            error=PLATFORM if broken(result) else "",
            summary=clean(summary_of(asked.tool.name, asked.arguments, result)),
            sandbox=sandbox_of(result),
        )


def most_tool_calls(work: Work) -> int:
    """Return how many tool calls an attempt may make; turns granted by a person bring their share."""
    version = work.step.version
    share = -(-version.max_tool_calls // version.max_turns)
    return version.max_tool_calls + share * work.step.extra_turns


def _failure(text: str, tool: str) -> ledger.Answer:
    shown = ledger.shortened(text or "The tool failed without a message.")
    # A tool server tells of a crash of its own in these words and no more.
    error = PLATFORM if text.strip() == f"Error executing tool {tool}" else ""
    return ledger.Answer(text=shown, failed=True, error=error, summary=shown.splitlines()[0][:300])


def _answers(messages: Sequence[ModelMessage]) -> int:
    return sum(isinstance(message, ModelResponse) for message in messages)


def _as_text(result: Any) -> str:
    return json.dumps(result, ensure_ascii=False, indent=1, default=str)
