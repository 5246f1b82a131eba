"""Puts an answer of OpenAI's protocol together from its chunks, and says each word at once.

pydantic-ai's own streaming makes objects of every chunk and passes them through several generators.
With a thousand answers in flight that is the difference between keeping up and not.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from agents.runtime.hearing import heard, said, thought

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAGS = ("<think>", "</think>")
_LONGEST_NAME = 200
_THOUGHTS = frozenset({"reasoning", "reasoning_content"})
_TEXTS = frozenset({"content", "refusal"}) | _THOUGHTS


class Whole:
    """An answer that grows with each chunk, up to what the server would have sent unstreamed.

    Only what is used of it is kept, and all that is kept is counted.
    """

    def __init__(self) -> None:
        self.finished = False  # the model said why it ended; without that it was cut off
        self._id = self._model = self._finish = ""
        self._created = 0
        self._usage: dict[str, Any] | None = None
        self._texts: dict[str, list[str]] = {}
        self._calls: list[_Call] = []
        self._numbered: dict[Any, _Call] = {}  # the last of each number
        self._thinking = False
        self._thoughts = ""  # the field they come in; a server that fills both says each twice

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Take the next chunk, as lenient as servers are free."""
        self._id = _short(chunk.get("id")) or self._id
        self._model = _short(chunk.get("model")) or self._model
        self._created = _number(chunk.get("created")) or self._created
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = usage
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        if finish := choices[0].get("finish_reason"):
            self.finished, self._finish = True, _short(finish)
        if isinstance(delta := choices[0].get("delta"), dict):
            self._add(delta)

    def completion(self) -> dict[str, Any]:
        """Return the answer as `chat.completion`."""
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        message: dict[str, Any] = {"role": "assistant", "content": None, **texts}
        if self._calls:
            message["tool_calls"] = [call.whole() for call in self._calls]
        choice = {"index": 0, "finish_reason": self._finish, "message": message}
        head = {"id": self._id, "model": self._model, "created": self._created}
        usage = None if self._usage is None else _usage(self._usage)
        return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}

    def _add(self, delta: dict[str, Any]) -> None:
        for name in _TEXTS & delta.keys():
            if isinstance(text := delta[name], str):
                self._texts.setdefault(name, []).append(text)
                self._tell(name, text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                heard(self._call_of(call).add(call))

    def _call_of(self, call: dict[str, Any]) -> _Call:
        """Return the call this is a piece of; some servers count none, or give all one number."""
        index, last = call.get("index"), self._calls[-1] if self._calls else None
        if last is None or last.is_another(call):
            self._numbered[index] = made = _Call(index)
            self._calls.append(made)
            return made
        return self._numbered.get(index, last)

    def _tell(self, name: str, text: str) -> None:
        if text.strip() in _TAGS:
            self._thinking = text.strip() == _TAGS[0]
            heard(len(text))
        elif name == "content":
            (thought if self._thinking else said)(text)
        elif name in _THOUGHTS and name == (self._thoughts or name):
            self._thoughts = name
            thought(text)
        else:
            heard(len(text))


class _Call:
    """One tool call and what has come of it."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self._id = self._name = ""
        self._extra: dict[str, Any] = {}
        self._arguments: list[str] = []

    def is_another(self, call: dict[str, Any]) -> bool:
        """Tell whether a piece begins a call that comes after this one."""
        index, identity = call.get("index"), _short(call.get("id"))
        if index is not None and index != self.index:
            return bool(identity or _function(call).get("name"))
        return bool(identity and self._id and identity != self._id)

    def add(self, call: dict[str, Any]) -> int:
        """Add a piece; return how many characters it takes to keep, at least one."""
        function = _function(call)
        arguments = function.get("arguments")
        piece = arguments if isinstance(arguments, str) else ""
        self._id = self._id or _short(call.get("id"))
        self._name = self._name or _short(function.get("name"))
        self._arguments.append(piece)
        extra = call.get("extra_content")  # a thought's signature, which is to be sent back
        if isinstance(extra, dict):
            self._extra = {"extra_content": extra}
        return 1 + len(piece) + (len(str(extra)) if extra else 0)

    def whole(self) -> dict[str, Any]:
        """Return it as the server would have sent it; without a name no provider takes it back."""
        function = {"name": self._name or "unnamed", "arguments": "".join(self._arguments)}
        identity = self._id or f"call_{uuid.uuid4().hex}"
        return {**self._extra, "id": identity, "type": "function", "function": function}


def _function(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else {}


def _short(value: Any) -> str:
    """Return a name or an id as a text of a length one can keep."""
    return str(value)[:_LONGEST_NAME] if isinstance(value, str | int) else ""


def _number(value: Any) -> int:
    """Return a count; what is none counts as nothing."""
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**53 else 0


def _usage(told: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens a server counted, whatever else it leaves out or says its own way."""
    sent, answered = _number(told.get("prompt_tokens")), _number(told.get("completion_tokens"))
    details = {
        name: {key: number for key, value in of.items() if (number := _number(value))}
        for name in ("prompt_tokens_details", "completion_tokens_details")
        if isinstance(of := told.get(name), dict)
    }
    counts = {"prompt_tokens": sent, "completion_tokens": answered, "total_tokens": sent + answered}
    return {**counts, **details}
