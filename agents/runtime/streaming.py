"""Sends what a model is saying right now to those who watch: Redis only, coalesced, never stored.

Losing all of it loses nothing: the finished message is an event row.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agents.events import channel
from agents.runtime.redaction import clean
from memory import posting

if TYPE_CHECKING:
    import uuid

FLUSH_SECONDS = 0.05
SLOW_SECONDS = 0.1  # while more than MANY speak
MANY = 300
TAIL_ENTRIES = 500
TAIL_SECONDS = 3_600
_BACKLOG = 200  # posts; beyond it Redis is away, and what is said now is let go


def tail_key(step_id: uuid.UUID | str) -> str:
    """Return the Redis stream that holds the unfinished message of one step."""
    return f"cs:tail:{step_id}"


@dataclass(slots=True)
class _Pending:
    task_id: str
    offset: int
    pieces: list[str] = field(default_factory=list)


class Flusher:
    """Collects deltas of every step of this process and sends them together."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._over: set[str] = set()
        self._runner: asyncio.Task[None] | None = None

    def add(self, *, task_id: str, step_id: str, offset: int, text: str) -> None:
        """Note one delta; `offset` counts characters of the message it belongs to."""
        if offset == 0:  # a new message begins
            self._pending.pop(step_id, None)
            self._over.add(step_id)
        pending = self._pending.get(step_id)
        if pending is None:
            pending = self._pending[step_id] = _Pending(task_id, offset)
        pending.pieces.append(text)
        self._wake()

    def end(self, step_id: str) -> None:
        """Forget the unfinished message of a step: it has become an event row."""
        self._pending.pop(step_id, None)
        self._over.add(step_id)
        self._wake()

    def _wake(self) -> None:
        if self._runner is None or self._runner.done():
            self._runner = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        pending: dict[str, _Pending] = {}
        while self._pending or self._over:
            # A thousand voices 20 times a second would take a core; nobody reads as fast as that.
            await asyncio.sleep(SLOW_SECONDS if len(pending) > MANY else FLUSH_SECONDS)
            pending, self._pending = self._pending, {}
            over, self._over = self._over, set()
            if posting.waiting() < _BACKLOG:
                posting.post(partial(_queue, pending, over))


def _queue(pending: dict[str, _Pending], over: set[str], pipeline: Any) -> None:
    """Put one flush on a pipeline; runs on the posting thread."""
    for step_id in over:
        pipeline.delete(tail_key(step_id))
    for step_id, item in pending.items():
        text = clean("".join(item.pieces))
        key = tail_key(step_id)
        delta = {"kind": "delta", "step": step_id, "offset": item.offset, "text": text}
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
    """What one step says: numbers its characters and hands them to the flusher."""

    def __init__(self, *, task_id: uuid.UUID | str, step_id: uuid.UUID | str) -> None:
        self._task_id = str(task_id)
        self._step_id = str(step_id)
        self._offset = 0

    def say(self, text: str) -> None:
        """Send the next piece of the message."""
        if text:
            flusher().add(
                task_id=self._task_id, step_id=self._step_id, offset=self._offset, text=text
            )
            self._offset += len(text)

    def finish(self) -> None:
        """End the message; the next piece begins a new one at offset 0."""
        if self._offset:
            flusher().end(self._step_id)
        self._offset = 0
