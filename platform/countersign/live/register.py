"""All open feeds of a process: pings them, and closes those whose viewer has lost the right."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from agents.runtime.database import in_db
from countersign.live import rights
from countersign.live.frames import Signal

if TYPE_CHECKING:
    import uuid
    from collections.abc import Coroutine

    from countersign.live.identity import Viewer
    from countersign.live.mux import Watcher

PING_SECONDS = 15.0
CHECK_SECONDS = 5.0  # how late, at most, a lost right closes a stream; mostly at once
_CHECK_PAUSE_SECONDS = 0.5  # a check asks for all watchers: nobody can make it go on without end
_BEAT_SECONDS = 1.0
logger = logging.getLogger(__name__)


class Feed(Protocol):
    """What the register knows of a feed."""

    viewer: Viewer
    watcher: Watcher

    def allowed(self, projects: frozenset[uuid.UUID]) -> bool:
        """Tell whether it may go on, now that its viewer may watch these projects."""
        ...


class Register:
    """One clock for all feeds: ten thousand timers would be the whole work of an idle process."""

    def __init__(self) -> None:
        self._due: dict[Feed, float] = {}  # when each is pinged next
        self._works: list[asyncio.Task[None]] = []
        self._told = asyncio.Event()  # that rights may have changed

    @property
    def open(self) -> int:
        """How many feeds are open: allowed, and sent what there is."""
        return len(self._due)

    def add(self, feed: Feed) -> None:
        """Ping and check a feed from now on."""
        self._due[feed] = time.monotonic() + PING_SECONDS
        if not self._works:
            self._works = [self._start(self._ping()), self._start(self._check())]

    def remove(self, feed: Feed) -> None:
        """Forget a feed."""
        self._due.pop(feed, None)

    def check_now(self) -> None:
        """Ask for all rights now, not by the clock."""
        self._told.set()

    async def close(self) -> None:
        """Stop the clock."""
        works, self._works = self._works, []
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return asyncio.create_task(work, name="countersign-live-register")

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(min(_BEAT_SECONDS, PING_SECONDS))
            now = time.monotonic()
            due = [feed for feed, at in self._due.items() if at <= now]
            for feed in due:
                self._due[feed] = now + PING_SECONDS
                feed.watcher.tell(Signal.PING)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, CHECK_SECONDS - _CHECK_PAUSE_SECONDS)):
                    await self._told.wait()
            self._told.clear()
            try:
                projects = await in_db(rights.projects_of, {feed.viewer for feed in self._due})
            except Exception as error:  # noqa: BLE001 - the database may be away for a while
                logger.warning("rights of watchers could not be checked: %s", error)
                continue
            for feed in list(self._due):
                mine = projects.get(feed.viewer)  # None: it came meanwhile, and was checked then
                if mine is not None and not feed.allowed(mine):
                    feed.watcher.tell(Signal.FORBIDDEN)


_registers: WeakKeyDictionary[asyncio.AbstractEventLoop, Register] = WeakKeyDictionary()


def register() -> Register:
    """Return the one register of this process's event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _registers:
        _registers[loop] = Register()
    return _registers[loop]


async def close() -> None:
    """Stop what the register of this loop does."""
    made = _registers.pop(asyncio.get_running_loop(), None)
    if made is not None:
        await made.close()
