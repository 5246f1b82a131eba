"""Lets people hear an answer while it comes, and keeps it from having no end.

The words go from the stream straight to the flusher; what is handed on is the whole answer.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import (
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models.wrapper import WrapperModel

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

    from agents.runtime.offering import ModelCall
    from agents.runtime.streaming import Voice


class Ear:
    """Hears one answer: speaks its words on, and counts its characters."""

    def __init__(self, voice: Voice, most: int) -> None:
        self._voice = voice
        self._most = most
        self._length = 0
        self._silent = True
        self._broken = False
        self._thought = False
        self._thought_broken = False

    def count(self, characters: int) -> None:
        """Count what comes beside words, as arguments; raises when the answer has no end."""
        self._broken = not self._silent  # what is said next is a paragraph of its own
        self._add(characters)

    def say(self, text: str) -> None:
        """Speak the next words."""
        self._add(len(text))
        if text:
            self._voice.say(f"\n\n{text}" if self._broken else text)
            self._silent = self._broken = False
            self._thought_broken = self._thought

    def think(self, text: str) -> None:
        """Speak the next piece of a thought, apart from the words."""
        self._add(len(text))
        if text:
            self._voice.think(f"\n\n{text}" if self._thought_broken else text)
            self._thought, self._thought_broken = True, False
            self._broken = not self._silent

    def watch(self, event: Any) -> None:
        """Take an event of pydantic-ai's."""
        match event:
            case PartStartEvent(part=TextPart(content=text)):
                self._broken = not self._silent
                self.say(text)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                self.say(text)
            case PartStartEvent(part=ThinkingPart(content=text)):
                self._thought_broken = self._thought
                self.think(text)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=str(text))):
                self.think(text)
            case PartStartEvent(part=new) | PartDeltaEvent(delta=new):
                self.count(_length_of(new))

    def _add(self, characters: int) -> None:
        self._length += characters
        if self._length > self._most:
            raise UnexpectedModelBehavior(
                f"one answer had more than {self._most:,} characters; it was cut off"
            )


_ear: ContextVar[Ear | None] = ContextVar("ear", default=None)


def said(text: str) -> None:
    """Speak words of the answer that is being read in this context, if anybody listens."""
    if ear := _ear.get():
        ear.say(text)


def thought(text: str) -> None:
    """Speak a piece of a thought in the answer that is being read, if anybody listens."""
    if ear := _ear.get():
        ear.think(text)


def heard(characters: int) -> None:
    """Count characters that are not for people, in the answer that is being read."""
    if ear := _ear.get():
        ear.count(characters)


async def heard_out(model: Model, call: ModelCall, voice: Voice, *, most: int) -> ModelResponse:
    """Read one answer to its end, of at most so many characters; cancelled, the connection closes."""
    token = _ear.set(Ear(voice, most))
    try:
        return await model_request(
            model,
            call.messages,
            model_settings=call.settings,
            model_request_parameters=call.parameters(),
        )
    finally:
        _ear.reset(token)


class Heard(WrapperModel):
    """A model of pydantic-ai's own, whose answers come as a stream and are handed on whole."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Read one answer to its end and tell its events to whoever listens."""
        ear = _ear.get()
        async with self.wrapped.request_stream(
            messages, model_settings, model_request_parameters
        ) as stream:
            async for event in stream:
                if ear is not None:
                    ear.watch(event)
            return stream.get()


def _length_of(new: Any) -> int:
    names = ("content", "args", "content_delta", "args_delta")
    texts = (getattr(new, name, None) for name in names)
    return sum(len(text) for text in texts if isinstance(text, str))
