"""What watchers are sent (public contract, version 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, NotRequired, TypedDict


class EventFrame(TypedDict):
    """One durable event; `seq` is gap-free within its task."""

    seq: int
    kind: str
    at: str
    step: str | None
    data: dict[str, Any]


class DeltaFrame(TypedDict):
    """A piece of what an agent is writing; `offset` lets a client see a gap. Never stored.

    thinking: a piece of what its model thinks before, which is no part of the text. Its offsets are
    its own.
    """

    kind: Literal["delta", "thinking"]
    step: str
    offset: int
    text: str


class ActivityFrame(TypedDict):
    """Something moved in one of the person's projects: for lists and counters."""

    task: str
    number: int
    kind: str
    seq: int


class NoticeFrame(TypedDict):
    """ping: still here. resync: reload what you show. end: the task is over and all was sent.

    A ping to a watcher of a task carries a new ticket to come back with.
    """

    kind: Literal["ping", "resync", "end"]
    ticket: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Sent:
    """One frame on its way to a client; `seq` is None for what is not stored."""

    body: str
    kind: str
    seq: int | None = None


class Signal(Enum):
    """What a feed says besides frames."""

    PING = auto()
    RESYNC = auto()
    END = auto()
    FORBIDDEN = auto()
    GONE = auto()  # the client left; never sent
