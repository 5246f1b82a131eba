"""Sends what a model is saying right now to those who watch: Redis only, coalesced, never stored.

Losing all of it loses nothing: the finished message is an event row. Known secrets are taken out of
what is sent together; one that a model says in pieces is taken out of the row alone.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from agents.events import channel
from agents.runtime.redaction import clean
from memory import posting

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

Writing = Literal["delta", "thinking"]  # of a frame: what is said, and what is thought before

WRITING: tuple[Writing, ...] = ("thinking", "delta")
FLUSH_SECONDS = 0.05
FIRST_SECONDS = 0.01  # for the first words of all that begin to speak
SLOW_SECONDS = 0.1  # while more than MANY speak
MANY = 300
TAIL_ENTRIES = 500
TAIL_SECONDS = 3_600
_BACKLOG = (
    1_000  # posts, some hundred a second; beyond it Redis is away, and what is said now is let go
)


def tail_key(step_id: uuid.UUID | str, kind: Writing = "delta") -> str:
    """Return the Redis stream that holds the unfinished message of one step, or the thought of it.

    Each has its own, so that a long thought displaces no text.
    """
    return f"cs:tail:{step_id}" if kind == "delta" else f"cs:tail:{step_id}:{kind}"


_Key = tuple[str, Writing]  # of a step and what of it is written


@dataclass(slots=True)
class _Pending:
    task_id: str
    offset: int
    pieces: list[str] = field(default_factory=list)


class Flusher:
    """Collects deltas of every step of this process and sends them together.

    The first words of a message do not wait for the others: somebody looks at an empty pane.
    """

    def __init__(self) -> None:
        self._pending: dict[_Key, _Pending] = {}
        self._over: set[_Key] = set()
        self._first: set[_Key] = set()  # messages of which nothing is sent yet
        self._all_at = _Clock(self._send_all)
        self._first_at = _Clock(self._send_first)

    def add(self, key: _Key, *, task_id: str, offset: int, text: str) -> None:
        """Note one delta; `offset` counts characters of the message or thought it belongs to."""
        if offset == 0:  # a new one begins
            self._pending.pop(key, None)
            self._over.add(key)
            self._first.add(key)
            self._first_at.set()
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(task_id, offset)
        pending.pieces.append(text)
        self._all_at.set()

    def end(self, step_id: str) -> None:
        """Forget the unfinished message of a step: it has become an event row."""
        for kind in WRITING:
            self._pending.pop((step_id, kind), None)
            self._over.add((step_id, kind))
        self._all_at.set()

    def _send_first(self) -> None:
        first, self._first = self._first, set()
        self._first_at.rest(FIRST_SECONDS)
        over = self._over & first
        self._over -= over
        _post({key: self._pending.pop(key) for key in first & self._pending.keys()}, over)

    def _send_all(self) -> None:
        pending, self._pending = self._pending, {}
        over, self._over = self._over, set()
        # A thousand voices 20 times a second would take a core; nobody reads as fast as that.
        self._all_at.rest(SLOW_SECONDS if len(pending) > MANY else FLUSH_SECONDS)
        _post(pending, over)


class _Clock:
    """Calls once at a time, and not again before it has rested."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._rested_at = 0.0  # on the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Call as soon as it has rested, at the earliest in the loop's next turn."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._rested_at, loop.time()), self._ring)

    def rest(self, seconds: float) -> None:
        """Do not call again for so long."""
        self._rested_at = asyncio.get_running_loop().time() + seconds

    def _ring(self) -> None:
        self._timer = None
        self._call()


def _post(pending: dict[_Key, _Pending], over: set[_Key]) -> None:
    if posting.waiting() >= _BACKLOG:
        pending = {}  # what is over is taken away all the same
    if pending or over:
        posting.post(partial(_queue, pending, over))


def _queue(pending: dict[_Key, _Pending], over: set[_Key], pipeline: Any) -> None:
    """Put one flush on a pipeline; runs on the posting thread."""
    for step_id, kind in over:
        pipeline.delete(tail_key(step_id, kind))
    for (step_id, kind), item in pending.items():
        text = clean("".join(item.pieces))
        key = tail_key(step_id, kind)
        delta = {"kind": kind, "step": step_id, "offset": item.offset, "text": text}
        pipeline.publish(channel(item.task_id), json.dumps(delta))
        pipeline.xadd(key, {"offset": item.offset, "text": text}, maxlen=TAIL_ENTRIES)
        pipeline.expire(key, TAIL_SECONDS)


_flushers: WeakKeyDictionary[asyncio.AbstractEventLoop, Flusher] = WeakKeyDictionary()


def flusher() -> Flusher:
    """Return the one flusher of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _flushers:
        _flushers[loop] = Flusher()
    return _flushers[loop]


class Voice:
    """What one step says and thinks: numbers its characters and hands them to the flusher."""

    def __init__(self, *, task_id: uuid.UUID | str, step_id: uuid.UUID | str) -> None:
        self._task_id = str(task_id)
        self._step_id = str(step_id)
        self._offsets: dict[Writing, int] = dict.fromkeys(WRITING, 0)

    def say(self, text: str) -> None:
        """Send the next piece of the message."""
        self._send("delta", text)

    def think(self, text: str) -> None:
        """Send the next piece of the thought."""
        self._send("thinking", text)

    def finish(self) -> None:
        """End the message; the next piece begins a new one at offset 0."""
        if any(self._offsets.values()):
            flusher().end(self._step_id)
        self._offsets = dict.fromkeys(WRITING, 0)

    def _send(self, kind: Writing, text: str) -> None:
        if text:
            key, offset = (self._step_id, kind), self._offsets[kind]
            flusher().add(key, task_id=self._task_id, offset=offset, text=text)
            self._offsets[kind] += len(text)
