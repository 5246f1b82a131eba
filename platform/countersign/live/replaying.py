"""Replays: what watchers ask for side by side is read together."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from agents.runtime.database import in_db
from countersign.live import rights, rows, tails

if TYPE_CHECKING:
    import uuid

    from countersign.live.frames import DeltaFrame
    from countersign.live.identity import Viewer
    from countersign.live.rows import Page

logger = logging.getLogger(__name__)

AT_ONCE = 100  # watchers in one read: what they get must not keep the event loop waiting


class NotWatchable(Exception):
    """There is no such task, or this viewer may not see it: the same answer."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A page of events, and what is being written just now."""

    page: Page
    deltas: list[DeltaFrame]


@dataclass(slots=True, eq=False)
class _Wish:
    task: uuid.UUID
    after: int
    viewer: Viewer | None
    replay: asyncio.Future[Replay] = field(init=False)

    def __post_init__(self) -> None:
        self.replay = asyncio.get_running_loop().create_future()


class Reader:
    """Reads for all watchers of one process, one batch after the other, without a timer."""

    def __init__(self) -> None:
        self._wishes: deque[_Wish] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        # Kept: to connect for each replay takes longer than to read the tails. Tried once more on a
        # connection that was reset while it rested. No socket_timeout: see Mux.
        self._redis = Redis.from_url(
            settings.REDIS_URL, protocol=2, socket_timeout=None, retry=Retry(NoBackoff(), 1)
        )

    async def read(self, task: uuid.UUID, after: int, viewer: Viewer | None = None) -> Replay:
        """Return what comes after a cursor; with a viewer, raises NotWatchable unless it may see it.

        Raises DatabaseError.
        """
        wish = _Wish(task, after, viewer)
        self._wishes.append(wish)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="countersign-live-replays")
        return await wish.replay

    async def close(self) -> None:
        """Give the connections back; only for the end of the process."""
        await self._redis.aclose()

    async def _run(self) -> None:
        try:
            while self._wishes:
                count = min(AT_ONCE, len(self._wishes))
                batch = [self._wishes.popleft() for _ in range(count)]
                # Whoever has left is not waited for.
                await self._fulfil([wish for wish in batch if not wish.replay.done()])
        finally:
            self._runner = None

    async def _fulfil(self, batch: list[_Wish]) -> None:
        try:
            pages = await in_db(_look, [(wish.task, wish.after, wish.viewer) for wish in batch])
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody waits for each of them
            for wish in batch:
                if not wish.replay.done():
                    wish.replay.set_exception(error)
            return
        # Redis may be silent for a while: the next batch of rows does not wait for it.
        delivery = asyncio.create_task(
            _deliver(batch, pages, self._redis), name="countersign-live-replays"
        )
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)


async def _deliver(batch: list[_Wish], pages: list[Page | None], redis: Redis) -> None:
    deltas = await _deltas(pages, redis)
    for wish, page in zip(batch, pages, strict=True):
        if wish.replay.done():
            continue
        if page is None:
            wish.replay.set_exception(NotWatchable())
        else:
            told = [delta for step in page.writing for delta in deltas.get(step, ())]
            wish.replay.set_result(Replay(page, told))


async def _deltas(pages: list[Page | None], redis: Redis) -> dict[str, list[DeltaFrame]]:
    steps = {step for page in pages if page for step in page.writing}
    if not steps:
        return {}
    try:
        return await tails.of(redis, sorted(steps))
    except Exception:  # what was written so far can be missed; the rows are waited for
        logger.exception("tails of %s steps were not read", len(steps))
        return {}


def _look(wanted: list[tuple[uuid.UUID, int, Viewer | None]]) -> list[Page | None]:
    projects = rights.projects_of({viewer for _, _, viewer in wanted if viewer})
    # Many watch the same from the same place: it is read once.
    places = list(dict.fromkeys((task, after) for task, after, _ in wanted))
    pages = dict(zip(places, rows.pages_after(places), strict=True))
    found = []
    for task, after, viewer in wanted:
        page = pages[task, after]
        seen = page and (viewer is None or page.project in projects[viewer])
        found.append(page if seen else None)
    return found


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, Reader] = WeakKeyDictionary()


def reader() -> Reader:
    """Return the one reader of this process's event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _readers:
        _readers[loop] = Reader()
    return _readers[loop]


async def close() -> None:
    """Give back what the reader of this event loop holds."""
    made = _readers.pop(asyncio.get_running_loop(), None)
    if made is not None:
        await made.close()
