"""What a rehearsed agent sees of its conversation, and the moves it can make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import (
    ModelResponse,
    RetryPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_ai.messages import ModelMessage

    from agents.runtime.contract import Work


@dataclass(frozen=True)
class Call:
    """One tool call to make."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Move:
    """One answer: a sentence for people, then tool calls or the final answer."""

    say: str
    calls: tuple[Call, ...] = ()
    answer: dict[str, Any] | None = None
    thought: str = ""  # before the sentence, as some models do


@dataclass(frozen=True, kw_only=True)
class Done:
    """A tool call that was answered."""

    tool: str
    arguments: dict[str, Any]
    text: str
    failed: bool


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One turn of one rehearsed agent."""

    brief: Mapping[str, Any]
    kind: str  # of the step: route, work or assemble
    turn: int  # answers given so far
    done: tuple[Done, ...]  # every answered tool call, oldest first
    notes: bool  # a person wrote something while it worked
    reminded: tuple[str, ...] = field(default=())  # memories it was given

    def last(self, tool: str) -> Done | None:
        """Return the newest answer of a tool, or None."""
        return next((each for each in reversed(self.done) if each.tool == tool), None)

    def read(self, path: str) -> Done | None:
        """Return the newest reading of a file, or None."""
        found = (
            each
            for each in reversed(self.done)
            if each.tool == "read_file" and each.arguments.get("path") == path and not each.failed
        )
        return next(found, None)

    @property
    def failures(self) -> list[Done]:
        """Edits that were refused."""
        writes = {"edit_file", "replace_lines"}
        return [each for each in self.done if each.failed and each.tool in writes]


def scene_of(work: Work, messages: Sequence[ModelMessage]) -> Scene:
    """Read a conversation."""
    return Scene(
        brief=work.brief,
        kind=work.step.kind,
        turn=sum(isinstance(message, ModelResponse) for message in messages),
        done=tuple(_done(messages)),
        notes="A person wrote while you work" in _prompts(messages),
        reminded=tuple(_memories(_prompts(messages))),
    )


def _done(messages: Sequence[ModelMessage]) -> list[Done]:
    parts = [part for message in messages for part in message.parts]
    calls = {part.tool_call_id: part for part in parts if isinstance(part, ToolCallPart)}
    answers = [part for part in parts if isinstance(part, ToolReturnPart | RetryPromptPart)]
    return [
        Done(
            tool=call.tool_name,
            arguments=call.args_as_dict(),
            text=str(part.content),
            failed=isinstance(part, RetryPromptPart) or part.outcome != "success",
        )
        for part in answers
        if (call := calls.get(part.tool_call_id))
    ]


def _prompts(messages: Sequence[ModelMessage]) -> str:
    return "\n".join(
        str(part.content)
        for message in messages
        for part in message.parts
        if isinstance(part, UserPromptPart)
    )


def _memories(prompt: str) -> list[str]:
    _, begun, rest = prompt.partition('<data label="memory">\n')
    block = rest.partition("\n</data>")[0] if begun else ""
    return [line.partition(": ")[2] for line in block.splitlines() if line.startswith("- [")]
