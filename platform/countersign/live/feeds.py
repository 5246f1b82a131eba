"""Feeds: rows after a cursor, then what is published, without gap or duplicate."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.conf import settings

from agents.events import Kind, channel, project_channel
from agents.lifecycle import TASK_TERMINAL
from agents.runtime.database import in_db
from agents.runtime.streaming import WRITING
from countersign.live import control, register, replaying, rights, rows
from countersign.live.frames import Sent, Signal
from countersign.live.mux import Mux
from countersign.live.replaying import NotWatchable, reader
from countersign.live.tails import Written

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncGenerator

    from countersign.live.identity import Viewer
    from countersign.live.mux import Message, Watcher
    from countersign.live.replaying import Replay

_LAST = {Signal.END, Signal.FORBIDDEN}
_muxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Mux] = WeakKeyDictionary()


def mux() -> Mux:
    """Return the one mux of this process's event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _muxes:
        _muxes[loop] = Mux(
            settings.REDIS_URL,
            behind=lambda seen: in_db(rows.behind, seen),
            heeded={control.RIGHTS: register.register().check_now},
        )
    return _muxes[loop]


async def close() -> None:
    """Give back what this process holds of Redis, and stop its clocks."""
    made = _muxes.pop(asyncio.get_running_loop(), None)
    if made is not None:
        await made.close()
    await replaying.close()
    await register.close()


class TaskFeed:
    """Everything one watcher of one task is sent, from a cursor on until the task is over."""

    __slots__ = (
        "__weakref__",
        "_cursor",
        "_replay",
        "_written",
        "checked",
        "project",
        "task",
        "viewer",
        "watcher",
    )

    watcher: Watcher

    def __init__(self, task_id: uuid.UUID, *, after: int, viewer: Viewer) -> None:
        self.task = task_id
        self.viewer = viewer
        self.project: uuid.UUID | None = None
        self.checked = False  # by rows, not by a ticket alone
        self._cursor = after
        self._replay: Replay | None = None
        self._written: Written | None = None

    async def open(self, *, proven: bool = False) -> None:
        """Subscribe and read the first page; raises NotWatchable, or DatabaseError.

        `proven`: somebody has checked a moment ago that the viewer may watch the task. Who opened it
        has to read `items`, or to `close` it.
        """
        self.watcher = await mux().join(channel(self.task))
        self.watcher.take_resync()
        try:
            self._replay = await reader().read(
                self.task, self._cursor, None if proven else self.viewer
            )
        except BaseException:
            mux().leave(self.watcher)
            raise
        self.project, self.checked = self._replay.page.project, not proven
        register.register().add(self)

    def close(self) -> None:
        """Give the subscription back; twice is harmless."""
        if self.project is not None:
            register.register().remove(self)
            mux().leave(self.watcher)

    @property
    def finished(self) -> bool:
        """Tell, of an open feed, whether the task is over and the client has all of it."""
        page = self._replay.page if self._replay else None
        return page is not None and page.over and page.last_seq == self._cursor

    def allowed(self, projects: frozenset[uuid.UUID]) -> bool:
        """Tell whether the viewer may still watch."""
        self.checked = self.project in projects
        return self.checked

    def leave(self) -> None:
        """Let `items` end: the client has gone."""
        self.watcher.tell(Signal.GONE)

    async def items(self) -> AsyncGenerator[Sent | Signal, None]:
        """Yield what `batches` does, one by one."""
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                batch.reverse()
                while batch:  # nothing of it stays here while the next is waited for
                    yield batch.pop()

    async def batches(self) -> AsyncGenerator[list[Sent | Signal], None]:
        """Yield frames in order, those of a replay together, and signals.

        Ends with Signal.END or Signal.FORBIDDEN, or when the client has left.
        """
        try:
            if self.project is None:
                await self.open()
            last: Sent | Signal | None = None
            while last not in _LAST and (batch := await self._next()) is not None:
                last = batch[-1] if batch and isinstance(batch[-1], Signal) else None
                if batch:
                    yield batch
                del batch  # while it waits, thousands of feeds would keep their last replay
        except NotWatchable:
            yield [Signal.FORBIDDEN]
        finally:
            self.close()

    async def _next(self) -> list[Sent | Signal] | None:
        """Return what is next, an empty list when there may be more at once, None after the end."""
        if self._replay is not None:
            replay, self._replay = self._replay, None
            return self._new_of(replay)
        if self.watcher.take_resync():
            self._replay = await reader().read(self.task, self._cursor)
        elif message := self.watcher.take():
            return self._accept_all(message)
        elif signal := self.watcher.take_signal():
            return None if signal is Signal.GONE else [signal]
        else:
            await self.watcher.wait()
        return []

    def _new_of(self, replay: Replay) -> list[Sent | Signal]:
        """Return what is new of a replay; more is read when there is more."""
        page = replay.page
        if self._cursor > page.last_seq:
            # No client of this log has that seq; believing it would hide events to come.
            self._advance(0)
        new: list[Sent | Signal] = [each for each in page.frames if (each.seq or 0) > self._cursor]
        if new:
            self._advance(page.frames[-1].seq or 0)
        if self._cursor < page.last_seq:
            self.watcher.resync()
        elif page.over:
            new.append(Signal.END)
        else:
            self._advance(self._cursor)
            deltas = [delta for delta in replay.deltas if self._is_new(delta)]
            new += [Sent(body=json.dumps(delta), kind=delta["kind"]) for delta in deltas]
        return new

    def _accept_all(self, message: Message | None) -> list[Sent | Signal]:
        """Take all that is queued; each frame is still sent by itself, and the next batch waits for all."""
        accepted: list[Sent | Signal] = []
        while message is not None:
            if sent := self._accept(message):
                accepted.append(sent)
            message = self.watcher.take()
        return accepted

    def _accept(self, message: Message) -> Sent | None:
        seq, kind = message.frame.get("seq"), message.frame.get("kind")
        if kind in WRITING:
            return Sent(body=message.body, kind=kind) if self._is_new(message.frame) else None
        if not isinstance(seq, int) or not isinstance(kind, str) or seq <= self._cursor:
            return None
        if seq > self._cursor + 1 or _ends(message):
            # A gap: two processes published in another order than they committed, or one was
            # lost. The last event: the rows know whether all was sent.
            self.watcher.resync()
            return None
        self._advance(seq)
        return Sent(body=message.body, kind=kind, seq=seq)

    def _is_new(self, delta: Any) -> bool:
        if self._written is None:
            self._written = Written()
        return self._written.is_new(delta)

    def _advance(self, seq: int) -> None:
        self._cursor = self.watcher.seen = seq


def _ends(message: Message) -> bool:
    data = message.frame.get("data")
    return message.frame["kind"] == Kind.TASK_FINISHED or (
        isinstance(data, dict) and data.get("state") in TASK_TERMINAL
    )


class ActivityFeed:
    """What moves in every project of a person."""

    watcher: Watcher

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._projects = rights.NOTHING

    def allowed(self, projects: frozenset[uuid.UUID]) -> bool:
        """Take up projects that came and went; False when none is left."""
        if projects and projects != self._projects:
            self._projects = projects
            self.watcher.resync()
        return bool(projects)

    async def open(self) -> None:
        """Read the person's projects; raises DatabaseError."""
        found = await in_db(rights.projects_of, {self.viewer})
        self._projects = found[self.viewer]

    async def items(self) -> AsyncGenerator[Sent | Signal, None]:
        """Yield, once it is open, what moves; ends with Signal.FORBIDDEN.

        Nothing is replayed: RESYNC says that something may have been missed.
        """
        item: Sent | Signal | None = None
        while self._projects and item is not Signal.FORBIDDEN:
            async with aclosing(self._of(self._projects)) as items:
                async for item in items:
                    yield item
        if item is not Signal.FORBIDDEN:
            yield Signal.FORBIDDEN

    async def _of(self, projects: frozenset[uuid.UUID]) -> AsyncGenerator[Sent | Signal, None]:
        """Yield what moves in these projects, until they are others."""
        self.watcher = await mux().join(*map(project_channel, projects))
        register.register().add(self)
        item: Sent | Signal | None = None
        try:
            while self._projects == projects and item is not Signal.FORBIDDEN:
                if self.watcher.take_resync():
                    yield Signal.RESYNC
                elif message := self.watcher.take():
                    yield Sent(body=message.body, kind=message.frame.get("kind", ""))
                elif item := self.watcher.take_signal():
                    yield item
                else:
                    await self.watcher.wait()
        finally:
            register.register().remove(self)
            mux().leave(self.watcher)
