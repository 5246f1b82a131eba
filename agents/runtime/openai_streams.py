"""Reads OpenAI's stream of chunks: says each word at once, and hands on what belongs together as one.

A chunk costs pydantic-ai half a millisecond of objects, our own reading of it a tenth of that. With a
thousand answers in flight that is the difference between keeping up and not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.runtime.hearing import heard, said

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAGS = ("<think>", "</think>")
_REASONING = ("reasoning", "reasoning_content")
_SILENT = frozenset({"role", "content", "tool_calls", "refusal", "function_call", *_REASONING})


class Runs:
    """Joins neighbouring deltas; the first chunk goes on at once, so that a dead server shows."""

    def __init__(self) -> None:
        self._chunk: dict[str, Any] | None = None
        self._kind = ""
        self._pieces: list[str] = []
        self._call: Any = None
        self._begun = self._thinking = False

    def take(self, chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Take one chunk; give those that are complete."""
        kind, piece = _kind_of(chunk)
        self._tell(kind, piece)
        if not self._begun or not kind:
            self._begun = True
            yield from self.end()
            yield chunk
        elif kind == self._kind and not _begins(chunk, kind, self._call):
            self._pieces.append(piece)
        else:
            yield from self.end()
            self._chunk, self._kind, self._pieces = chunk, kind, [piece]
            self._call = _call_of(chunk)["index"] if kind == "tool" else None

    def end(self) -> Iterator[dict[str, Any]]:
        """Give what is left."""
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        whole = "".join(self._pieces)
        if self._kind == "tool":
            _call_of(chunk)["function"]["arguments"] = whole
        else:
            chunk["choices"][0]["delta"][self._kind] = whole
        self._kind = ""
        yield chunk

    def _tell(self, kind: str, piece: str) -> None:
        if not kind and piece.strip() in _TAGS:
            self._thinking = piece.strip() == _TAGS[0]
            heard(len(piece))
        elif kind in {"content", ""} and not self._thinking:
            said(piece)
        else:
            heard(len(piece))


def _kind_of(chunk: dict[str, Any]) -> tuple[str, str]:
    """Return which field alone the chunk brings and its text; no kind: it stands for itself."""
    choices = chunk.get("choices")
    if not choices or len(choices) != 1 or chunk.get("usage"):
        return "", ""
    choice = choices[0]
    delta = choice.get("delta")
    if not isinstance(delta, dict) or choice.get("finish_reason") or choice.get("logprobs"):
        return "", _text_of(delta)
    brings = [name for name, value in delta.items() if value and name != "role"]
    if len(brings) != 1 or not _SILENT.issuperset(delta):
        return "", _text_of(delta)
    name, value = brings[0], delta[brings[0]]
    if name == "tool_calls":
        return _kind_of_calls(value)
    if not isinstance(value, str) or name not in {"content", *_REASONING}:
        return "", _text_of(delta)
    # pydantic-ai knows a thinking tag only where it stands alone.
    return ("", value) if value.strip() in _TAGS else (name, value)


def _kind_of_calls(calls: Any) -> tuple[str, str]:
    if isinstance(calls, list) and len(calls) == 1 and isinstance(calls[0], dict):
        function, index = calls[0].get("function"), calls[0].get("index")
        if isinstance(function, dict) and isinstance(index, int):
            arguments = function.get("arguments") or ""
            if isinstance(arguments, str):
                return "tool", arguments
    return "", ""


def _text_of(delta: Any) -> str:
    text = delta.get("content") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else ""


def _call_of(chunk: dict[str, Any]) -> dict[str, Any]:
    call: dict[str, Any] = chunk["choices"][0]["delta"]["tool_calls"][0]
    return call


def _begins(chunk: dict[str, Any], kind: str, index: Any) -> bool:
    """Tell whether a tool delta begins another call."""
    if kind != "tool":
        return False
    call = _call_of(chunk)
    return bool(call["index"] != index or call.get("id") or call["function"].get("name"))
