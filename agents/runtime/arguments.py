"""What a model hands over with a call: read, made safe to store, and refused where it is ambiguous."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

from agents.runtime.redaction import capped, clean, cleaned

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse, ModelResponsePart

_SHOWN = 4_000  # characters of what is no JSON


def arguments_of(call: ToolCallPart) -> Any:
    """Return the arguments of a call, parsed where they are JSON."""
    try:
        return call.args_as_dict()
    except (ValueError, AssertionError):
        return capped(str(call.args), _SHOWN)


def handed_in(response: ModelResponse, output_tool: str) -> Any:
    """Return what the model handed in as its answer, parsed where it is JSON."""
    for part in response.parts:
        if isinstance(part, ToolCallPart) and part.tool_name == output_tool:
            return arguments_of(part)
    return capped(response.text or "", _SHOWN)


def cleaned_part(part: ModelResponsePart) -> ModelResponsePart:
    """Return a part of an answer as it may be stored."""
    match part:
        case TextPart() | ThinkingPart():
            return replace(part, content=clean(part.content))
        case ToolCallPart(args=str() as raw):
            return replace(part, args=_cleaned(raw))
        case ToolCallPart(args=dict() as arguments):
            return replace(part, args=cleaned(arguments))
        case _:
            return part


def refuse_repeated_names(raw: Any) -> None:
    """Raise ModelRetry where a JSON object gives one name twice.

    Parsers differ in which of the two they take (RFC 8259, 4): what people are shown could be another
    call than the one that runs.
    """
    if not isinstance(raw, str):
        return
    try:
        json.loads(raw, object_pairs_hook=_once)
    except _Repeated as repeated:
        raise ModelRetry(
            f"The arguments give {repeated.args[0]!r} twice, so they were not used. Give it once."
        ) from None
    except (ValueError, RecursionError):
        return  # no JSON: whoever validates says so


class _Repeated(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(capped(next(name for name in names if names.count(name) > 1), 100))
    return read


def _cleaned(raw: str) -> str:
    """Clean the values, not only the JSON: an escaped NUL would come back on parsing."""
    try:
        arguments = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, _Repeated):
        return clean(raw)
    safe = cleaned(arguments)
    return raw if safe == arguments and clean(raw) == raw else json.dumps(safe)
