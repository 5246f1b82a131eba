"""Lets a model and its tools talk, turn by turn under the guard, until the model hands in.

pydantic-ai's models and messages do the talking. Its run graph does not: it takes 5 ms of CPU for a
turn (task groups, generators, copies of its context), as much as half of the rest of a step, and the retries, limits and approvals it offers live in rows here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_ai.exceptions import ContentFilterError, ModelRetry, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    ToolReturnPart,
    UserPromptPart,
)

from agents.runtime.arguments import refuse_repeated_names
from agents.runtime.checkpoints import Took
from agents.runtime.contract import Asked, Waits
from agents.runtime.halting import Halted
from agents.runtime.hearing import heard_out
from agents.runtime.offering import ModelCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic_ai.messages import ModelMessage, ModelRequestPart, ToolCallPart

    from agents.messages import Answer, Plan, ProposalDraft, StepResult
    from agents.runtime.guard import StepGuard
    from agents.runtime.offering import Offered
    from agents.runtime.toolsets import Toolbox

    HandedIn = Plan | StepResult | Answer | ProposalDraft

REPAIRS = 2  # how often a model may correct an answer that fits no schema
# Characters of one answer: one without an end would take the time and memory of every other step.
MAX_ANSWER = 500_000

_SILENT = "Please include your response in a tool call."
_TAKEN = "Final result processed."
_ALREADY = "Output tool not used - a final result was already processed."
_NOT_YET = "Not taken: another call of the same answer was refused. Look at that first."
_MOST_FAULTS = 20  # listed of one answer; the rest is mostly more of the same


@dataclass
class _Acted:
    """What became of the calls of one answer."""

    parts: list[ModelRequestPart] = field(default_factory=list)
    handed_in: HandedIn | None = None
    taken: ToolReturnPart | None = None  # the part that says so
    refused: Exception | None = None  # why an answer was not taken
    again: bool = False  # a tool call was refused: the model should see that before it ends
    waits: bool = False  # a call of a tool outside has no answer yet
    asks: Asked | None = None  # another agent is to be asked


@dataclass(kw_only=True, eq=False)
class Conversation:
    """One attempt's talk with its model."""

    guard: StepGuard
    toolbox: Toolbox
    output: Offered
    instructions: str
    usable: Callable[[HandedIn], Awaitable[None]]  # raises ModelRetry with what to correct
    messages: list[ModelMessage]
    repairs: int = 0
    _shown: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Show every tool: calls of a stored answer may still wait to be carried out."""
        self._shown = frozenset(tool.definition.name for tool in self.toolbox.tools)

    async def until_handed_in(self) -> HandedIn:
        """Return the validated answer.

        Goes on where the messages end. Raises Halted, UnexpectedModelBehavior when the model cannot
        be brought to a usable answer, AgentRunError of the model.
        """
        last = self.messages[-1]
        if isinstance(last, ModelResponse) and self.guard.past_last_turn:
            self._shown = frozenset()  # as it was when the answer came
        response = last if isinstance(last, ModelResponse) else await self._turn()
        while True:
            acted = await self._act_on(response)
            if acted.handed_in is not None:
                return acted.handed_in
            if acted.refused is not None:
                self._repair(acted.refused)
            self.messages.append(ModelRequest(parts=acted.parts))
            response = await self._turn()

    async def _turn(self) -> ModelResponse:
        tools = [] if self.guard.last_turn else self.toolbox.tools
        self._shown = frozenset(tool.definition.name for tool in tools)
        call = ModelCall(
            messages=self.messages,
            instructions=self.instructions,
            tools=tools,
            output=self.output,
            settings=self.guard.chosen.settings,
        )
        call, told = await self.guard.before_turn(call)
        self._tell(told)
        began = time.monotonic()
        response = await heard_out(self.guard.chosen.model, call, self.guard.voice, most=MAX_ANSWER)
        took = Took(began=began, ended=time.monotonic(), repairs=self.repairs)
        response = await self.guard.after_turn(self.messages, response, took)
        self.messages.append(response)
        return response

    def _tell(self, texts: list[str]) -> None:
        last = self.messages[-1]
        if texts and isinstance(last, ModelRequest):
            last.parts = [*last.parts, *(UserPromptPart(content=text) for text in texts)]

    async def _act_on(self, response: ModelResponse) -> _Acted:
        acted = _Acted()
        # One call after the other: an answer that edits and then runs the checks means that order.
        for call in response.tool_calls:
            if acted.asks is not None and not self._is_outside(call):
                continue  # after the answer; what waits for a person waits beside it
            if call.tool_name == self.output.definition.name:
                await self._hand_in(call, acted)
            else:
                await self._call(call, acted)
        if not response.tool_calls:
            acted.refused = _silence(response)
            feedback = RetryFeedbackPart(content=_SILENT, retry=RetryInfo(cause="no_output"))
            acted.parts.append(feedback)
        if acted.asks is not None or acted.waits:
            # The next attempt is answered the rest from the ledger.
            raise Halted(acted.asks or Waits())
        if acted.again and acted.taken is not None:
            acted.handed_in, acted.taken.content = None, _NOT_YET
        return acted

    async def _hand_in(self, call: ToolCallPart, acted: _Acted) -> None:
        if acted.handed_in is not None:
            acted.parts.append(_returned(call, _ALREADY))
            return
        try:
            answer = self._read(call)
            await self.usable(answer)
        except (ValidationError, ModelRetry) as error:
            acted.refused = error
            acted.parts.append(_retried(call, _told(error)))
            return
        acted.handed_in, acted.taken, acted.refused = answer, _returned(call, _TAKEN), None
        acted.parts.append(acted.taken)

    def _read(self, call: ToolCallPart) -> HandedIn:
        refuse_repeated_names(call.args)
        if isinstance(call.args, dict):
            return self.guard.work.output.model_validate(call.args)
        return self.guard.work.output.model_validate_json(call.args or "{}")

    async def _call(self, call: ToolCallPart, acted: _Acted) -> None:
        if call.tool_name not in self._shown:
            acted.parts.append(_retried(call, self._no_such(call)))
            return
        try:
            refuse_repeated_names(call.args)
            arguments = call.args_as_dict(raise_if_invalid=True)
        except ModelRetry as refusal:
            acted.parts.append(_retried(call, refusal.message))
            acted.again = True
            return
        except (ValueError, AssertionError) as error:
            acted.parts.append(_retried(call, f"The arguments are no JSON object: {error}"))
            acted.again = True
            return
        done = await self.guard.called(self.messages, call, dict(arguments), self.toolbox.call)
        if done.waits or done.asks is not None:
            acted.waits, acted.asks = acted.waits or done.waits, done.asks or acted.asks
            return
        acted.again |= done.failed and self.guard.work.known[call.tool_name].outside
        outcome = "failed" if done.failed else "success"
        acted.parts.append(_returned(call, done.text, outcome=outcome))

    def _is_outside(self, call: ToolCallPart) -> bool:
        known = self.guard.work.known.get(call.tool_name)
        return known is not None and known.outside and call.tool_name in self._shown

    def _no_such(self, call: ToolCallPart) -> str:
        shown = ", ".join(sorted(repr(name) for name in self._shown))
        return f"Unknown tool name: {call.tool_name!r}. Available tools: {shown or 'none'}."

    def _repair(self, error: Exception) -> None:
        self.repairs += 1
        if self.repairs > REPAIRS:
            raise UnexpectedModelBehavior(f"Exceeded maximum output retries ({REPAIRS})") from error


def _silence(response: ModelResponse) -> UnexpectedModelBehavior:
    """Return what an answer without a call means; raises ContentFilterError where it was withheld."""
    if response.finish_reason == "content_filter" and not response.text:
        raise ContentFilterError("the provider's content filter withheld the answer")
    return UnexpectedModelBehavior("the answer handed nothing in and called no tool")


def _returned(call: ToolCallPart, text: str, *, outcome: Any = "success") -> ToolReturnPart:
    return ToolReturnPart(
        tool_name=call.tool_name, content=text, tool_call_id=call.tool_call_id, outcome=outcome
    )


def _retried(call: ToolCallPart, text: str) -> ToolReturnPart:
    part = _returned(call, text, outcome="retried")
    part.retry = RetryInfo(cause="validation_error")
    return part


def _told(error: ValidationError | ModelRetry) -> str:
    """Return what a model is told of its answer: where it does not fit, not what it said there."""
    if isinstance(error, ModelRetry):
        return error.message
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"- {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults]
    return "\n".join(["The answer does not fit the schema:", *lines[:_MOST_FAULTS], "Correct it."])
