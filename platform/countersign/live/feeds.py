"""Feeds: rows after a cursor, then what is published, without gap or duplicate."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from django.conf import settings
from redis.asyncio import Redis

from agents.events import Kind, channel, project_channel
from agents.lifecycle import TASK_TERMINAL
from agents.runtime.database import in_db
from countersign.live import rows, tails
from countersign.live.frames import Sent, Signal
from countersign.live.mux import Mux
from countersign.live.tails import Written

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncGenerator

    from countersign.live.identity import Viewer
    from countersign.live.mux import Message, Watcher

PING_SECONDS = 15.0
CHECK_SECONDS = 5.0  # how late, at most, a lost right closes a stream

_muxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Mux] = WeakKeyDictionary()


def mux() -> Mux:
    """Return the one mux of this process's event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _muxes:
        _muxes[loop] = Mux(settings.REDIS_URL, heads=lambda names: in_db(rows.heads_of, names))
    return _muxes[loop]


async def close() -> None:
    """Give back what this process holds of Redis."""
    made = _muxes.pop(asyncio.get_running_loop(), None)
    if made is not None:
        await made.close()


class Clock:
    """When the next ping and the next check of rights are due."""

    def __init__(self) -> None:
        self._ping_at = time.monotonic() + PING_SECONDS
        self._check_at = time.monotonic() + CHECK_SECONDS * random.uniform(0.7, 1)  # noqa: S311 - spreads load

    def until_due(self) -> float:
        """Return the seconds until something is due."""
        return max(0.0, min(self._ping_at, self._check_at) - time.monotonic())

    def ping_due(self) -> bool:
        """Tell whether a ping is due, and start the next interval."""
        due = time.monotonic() >= self._ping_at
        if due:
            self._ping_at = time.monotonic() + PING_SECONDS
        return due

    def check_due(self) -> bool:
        """Tell whether rights must be checked, and start the next interval."""
        due = time.monotonic() >= self._check_at
        if due:
            self._check_at = time.monotonic() + CHECK_SECONDS
        return due


class TaskFeed:
    """Everything one watcher of one task is sent, from a cursor on until the task is over."""

    def __init__(self, task_id: uuid.UUID, *, after: int, viewer: Viewer) -> None:
        self._task_id = task_id
        self._cursor = after
        self._viewer = viewer
        self._watcher: Watcher
        self._clock = Clock()
        self._written = Written()

    async def items(self) -> AsyncGenerator[Sent | Signal, None]:
        """Yield frames in order; ends with Signal.END or Signal.FORBIDDEN."""
        last: Sent | Signal | None = None
        async with mux().watch(channel(self._task_id)) as self._watcher:
            while last not in {Signal.END, Signal.FORBIDDEN}:
                async for last in self._next():
                    yield last

    async def _next(self) -> AsyncGenerator[Sent | Signal, None]:
        if self._watcher.take_resync():
            async for item in self._replay():
                yield item
        elif message := self._watcher.take():
            if accepted := self._accept(message):
                yield accepted
        elif not await self._watcher.wait(self._clock.until_due()) and self._clock.ping_due():
            yield Signal.PING
        if self._clock.check_due() and not await in_db(self._viewer.may_watch, self._task_id):
            yield Signal.FORBIDDEN

    async def _replay(self) -> AsyncGenerator[Sent | Signal, None]:
        while True:
            page = await in_db(rows.page_after, self._task_id, self._cursor)
            if self._cursor > page.last_seq:
                # No client of this log has that seq; believing it would hide events to come.
                self._advance(0)
                continue
            for frame in page.frames:
                self._advance(frame["seq"])
                yield Sent(body=json.dumps(frame), kind=frame["kind"], seq=frame["seq"])
            # Events may be newer than the state read before them: the last one could be among
            # them, and nothing would come after it to say that the task is over.
            if self._cursor == page.last_seq:
                break
        if page.over:
            yield Signal.END
            return
        for delta in await self._tails():
            yield delta

    async def _tails(self) -> list[Sent]:
        steps = await in_db(rows.running_steps, self._task_id)
        if not steps:
            return []
        async with Redis.from_url(settings.REDIS_URL, protocol=2, socket_timeout=None) as redis:
            deltas = [delta for step in steps for delta in await tails.tail(redis, step)]
        return [
            Sent(body=json.dumps(delta), kind="delta")
            for delta in deltas
            if self._written.is_new(delta)
        ]

    def _accept(self, message: Message) -> Sent | None:
        seq, kind = message.frame.get("seq"), message.frame.get("kind")
        if kind == "delta":
            fresh = self._written.is_new(message.frame)
            return Sent(body=message.body, kind=kind) if fresh else None
        if not isinstance(seq, int) or not isinstance(kind, str) or seq <= self._cursor:
            return None
        if seq > self._cursor + 1 or _ends(message):
            # A gap: two processes published in another order than they committed, or one was
            # lost. The last event: the rows know whether all was sent.
            self._watcher.resync()
            return None
        self._advance(seq)
        return Sent(body=message.body, kind=kind, seq=seq)

    def _advance(self, seq: int) -> None:
        self._cursor = self._watcher.seen = seq


def _ends(message: Message) -> bool:
    data = message.frame.get("data")
    return message.frame["kind"] == Kind.TASK_FINISHED or (
        isinstance(data, dict) and data.get("state") in TASK_TERMINAL
    )


async def activity(viewer: Viewer) -> AsyncGenerator[Sent | Signal, None]:
    """Yield what moves in every project of a person; ends with Signal.FORBIDDEN.

    Nothing is replayed: RESYNC says that something may have been missed.
    """
    clock = Clock()
    projects = await in_db(_projects, viewer)
    while projects:
        async with mux().watch(*map(project_channel, projects)) as watcher:
            now = projects
            while now == projects:
                if watcher.take_resync():
                    yield Signal.RESYNC
                elif message := watcher.take():
                    yield Sent(body=message.body, kind=message.frame.get("kind", ""))
                elif not await watcher.wait(clock.until_due()) and clock.ping_due():
                    yield Signal.PING
                if clock.check_due():
                    now = await in_db(_projects, viewer)
            projects = now
    yield Signal.FORBIDDEN


def _projects(viewer: Viewer) -> frozenset[uuid.UUID]:
    return frozenset(viewer.projects().values_list("pk", flat=True))
