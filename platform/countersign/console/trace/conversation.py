"""Reads one answer of a model, and what it was sent, out of an attempt's checkpoint."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_REMEMBERED = re.compile(r"^- \[([0-9a-f-]{36})\] .*$", re.MULTILINE)
_FORGOTTEN = "- (a memory that was forgotten, or is not for you)"
_WORDS = {
    "user-prompt": "Prompt",
    "system-prompt": "Instructions",
    "tool-return": "Result of",
    "retry-prompt": "Told to correct",
    "retry-feedback": "Told to correct",
    "text": "Text",
    "thinking": "Thought",
    "tool-call": "Calls",
}


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One part of a message, as people read it."""

    word: str
    name: str  # of the tool, or empty
    text: str


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What was sent since the answer before, the answer, and how much went before."""

    sent: list[Piece]
    answered: list[Piece]
    before: int = 0  # messages


def exchange(checkpoint: Any, response: int, known: Collection[str]) -> Exchange | None:
    """Return the answer of this index; None when the checkpoint does not hold it.

    `known` are the memories whose text may be shown: others were forgotten since.
    """
    messages = _messages(checkpoint)
    places = [n for n, message in enumerate(messages) if message.get("kind") == "response"]
    if not messages:
        return None
    if response == len(places):  # it was asked and has not answered
        start, end = (places[-1] + 1 if places else 0), len(messages)
    elif 0 <= response < len(places):
        start, end = (places[response - 1] + 1 if response else 0), places[response]
    else:
        return None
    sent = [piece for message in messages[start:end] for piece in _pieces(message, known)]
    answered = list(_pieces(messages[end], known)) if end < len(messages) else []
    return Exchange(sent=sent, answered=answered, before=start)


def _messages(checkpoint: Any) -> list[dict[str, Any]]:
    found = checkpoint.get("messages") if isinstance(checkpoint, dict) else None
    return [each for each in found or () if isinstance(each, dict)]


def _pieces(message: dict[str, Any], known: Collection[str]) -> Iterator[Piece]:
    for part in message.get("parts") or ():
        kind = part.get("part_kind", "")
        text = as_text(part.get("args") if kind == "tool-call" else part.get("content"))
        if kind == "thinking" and not text:
            continue
        if kind == "user-prompt":
            text = _REMEMBERED.sub(lambda found: _if_known(found, known), text)
        word = _WORDS.get(kind, kind or "Part")
        yield Piece(word=word, name=str(part.get("tool_name") or ""), text=text)


def _if_known(found: re.Match[str], known: Collection[str]) -> str:
    return found[0] if found[1] in known else _FORGOTTEN


def as_text(value: Any) -> str:
    """Return a part's content as text: a model's arguments are often JSON in a string."""
    if isinstance(value, str):
        if not value.lstrip().startswith(("{", "[")):
            return value
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False, default=str)
