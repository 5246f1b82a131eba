"""A few threads that work side by side, never two of them at one thing."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    Work = Callable[[], object]

logger = logging.getLogger(__name__)


class Hands:
    """Threads with a database connection each, started when first needed.

    `done` is called whenever one has become free. Daemons: a repository that does not answer must
    not keep a process from ending.
    """

    def __init__(self, count: int, done: Callable[[], None]) -> None:
        self._count = count
        self._done = done
        self._queue: queue.SimpleQueue[tuple[uuid.UUID, Work] | None] = queue.SimpleQueue()
        self._busy: dict[uuid.UUID, str] = {}  # with its group
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def take(self, key: uuid.UUID, work: Work, *, group: str = "") -> bool:
        """Begin the work at one thing, unless it is in hand or no hand is free.

        A named group never has more than half of the hands.
        """
        with self._lock:
            if key in self._busy or len(self._busy) >= self._count:
                return False
            if group and list(self._busy.values()).count(group) >= self._count // 2:
                return False
            self._busy[key] = group
            if len(self._threads) < len(self._busy):
                self._start()
        self._queue.put((key, work))
        return True

    def close(self) -> None:
        """Finish what is in hand, then end the threads and their connections."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        name = f"hand-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _live(self) -> None:
        while (taken := self._queue.get()) is not None:
            key, work = taken
            try:
                work()
            except Exception:  # rows say what is left to do; the next turn does it
                logger.exception("work for %s was cut off", key)
                connection.close()  # it may be the connection that is broken
            with self._lock:
                del self._busy[key]
            self._done()
        connection.close()
