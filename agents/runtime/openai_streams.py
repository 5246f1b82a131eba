"""Puts an answer of OpenAI's protocol together from its chunks, and says each word at once.

A chunk costs pydantic-ai's own streaming half a millisecond of objects and generators, this a fiftieth.
With a thousand answers in flight that is the difference between keeping up and not.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from agents.runtime.hearing import heard, said

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAGS = ("<think>", "</think>")
_OF_THE_WHOLE = frozenset({"choices", "usage", "object", "error"})
_OF_THE_CHOICE = frozenset({"index", "delta", "finish_reason"})
_BUILT = frozenset({"role", "tool_calls"})


class Whole:
    """An answer that grows with each chunk, up to what the server would have sent unstreamed."""

    def __init__(self) -> None:
        self.finished = False  # the model said why it ended; without that it was cut off
        self._head: dict[str, Any] = {}
        self._choice: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._other: dict[str, Any] = {}
        self._calls: list[_Call] = []
        self._thinking = False

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Take the next chunk, as lenient as servers are free."""
        self._head |= _given(chunk, but=_OF_THE_WHOLE)
        if chunk.get("usage"):
            self._head["usage"] = chunk["usage"]
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        choice = choices[0]
        self._choice |= _given(choice, but=_OF_THE_CHOICE)
        if choice.get("finish_reason"):
            self.finished, self._choice["finish_reason"] = True, choice["finish_reason"]
        if isinstance(delta := choice.get("delta"), dict):
            self._add(delta)

    def completion(self) -> dict[str, Any]:
        """Return the answer as `chat.completion`."""
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        message = {"role": "assistant", "content": None, **self._other, **texts}
        if self._calls:
            message["tool_calls"] = [call.whole() for call in self._calls]
        head = {"id": "", "model": "", "created": 0, **self._head}
        choice = {"finish_reason": None, **self._choice, "index": 0, "message": message}
        return {**head, "object": "chat.completion", "choices": [choice]}

    def _add(self, delta: dict[str, Any]) -> None:
        for name, value in _given(delta, but=_BUILT).items():
            if isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
                self._tell(name, value)
            elif isinstance(value, list):
                self._other[name] = [*self._other.get(name, []), *value]
            else:
                self._other[name] = value
        for call in delta.get("tool_calls") or ():
            if isinstance(call, dict):
                heard(self._call_of(call).add(call))

    def _call_of(self, call: dict[str, Any]) -> _Call:
        """Return the call this is a piece of; some servers count none, or give all one number."""
        index, last = call.get("index"), self._calls[-1] if self._calls else None
        if last is None or last.is_another(call):
            self._calls.append(_Call(index))
            return self._calls[-1]
        same = (one for one in self._calls if one.index == index)
        return last if last.index == index else next(same, last)

    def _tell(self, name: str, text: str) -> None:
        if text.strip() in _TAGS:
            self._thinking = text.strip() == _TAGS[0]
            heard(len(text))
        elif name == "content" and not self._thinking:
            said(text)
        else:
            heard(len(text))


class _Call:
    """One tool call and what has come of it."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self._facts: dict[str, Any] = {}
        self._name = ""
        self._arguments: list[str] = []

    def is_another(self, call: dict[str, Any]) -> bool:
        """Tell whether a piece begins a call that comes after this one."""
        index, identity = call.get("index"), call.get("id")
        if index is not None and index != self.index:
            return bool(identity or _function(call).get("name"))
        known = self._facts.get("id")
        return bool(identity and known and identity != known)

    def add(self, call: dict[str, Any]) -> int:
        """Add a piece; return how many characters it brought."""
        self._facts |= _given(call, but=frozenset({"index", "function"}))
        function = _function(call)
        arguments = function.get("arguments")
        piece = arguments if isinstance(arguments, str) else ""
        self._name = self._name or str(function.get("name") or "")
        self._arguments.append(piece)
        return len(piece)

    def whole(self) -> dict[str, Any]:
        function = {"name": self._name, "arguments": "".join(self._arguments)}
        identity = self._facts.get("id") or f"call_{uuid.uuid4().hex}"
        return {**self._facts, "id": identity, "type": "function", "function": function}


def _function(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else {}


def _given(data: Mapping[str, Any], *, but: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None and name not in but}
