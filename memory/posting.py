"""Sends to Redis what nobody waits for: in order, many at once, off the caller's thread.

A Redis that is away slows nobody. What is lost on the way is found again in the rows.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Command = Callable[[Any], object]  # queues its part on a pipeline

logger = logging.getLogger(__name__)

MOST = 20_000  # waiting commands; then the oldest are let go
_AT_ONCE = 500
_REST_SECONDS = 1.0  # after a failure
_SOON_SECONDS = 0.05
_EXIT_SECONDS = 1.0  # a short-lived command waits this long for its last posts


class _Post:
    """One thread per process that sends; it begins with the first command."""

    def __init__(self) -> None:
        self._waiting: deque[Command] = deque(maxlen=MOST)
        self._newest: dict[Hashable, Command] = {}
        self._ripe_at = 0.0  # by the monotonic clock: when the newest of each are sent
        self._woken = threading.Condition()
        self._sending = False
        self._thread: threading.Thread | None = None

    def take(self, command: Command) -> None:
        with self._woken:
            self._waiting.append(command)
            self._wake()

    def take_newest(self, key: Hashable, command: Command) -> None:
        with self._woken:
            if not self._newest:
                self._ripe_at = time.monotonic() + _SOON_SECONDS
                self._wake()
            self._newest[key] = command

    def __len__(self) -> int:
        return len(self._waiting) + len(self._newest)

    def wait(self, seconds: float) -> bool:
        with self._woken:
            return self._woken.wait_for(self._idle, seconds)

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="posting", daemon=True)
            self._thread.start()
        self._woken.notify_all()

    def _idle(self) -> bool:
        return not self._waiting and not self._newest and not self._sending

    def _run(self) -> None:
        rest = threading.Event()
        while True:
            with self._woken:
                self._sending = False
                self._woken.notify_all()
                while not self._waiting and (ripe_in := self._ripe_in()) != 0:
                    self._woken.wait(ripe_in)
                self._sending = True
                batch = self._next()
            if not _send(batch):
                rest.wait(_REST_SECONDS)

    def _ripe_in(self) -> float | None:
        """Return the seconds until the newest of each are to be sent, None when there are none."""
        return max(0.0, self._ripe_at - time.monotonic()) if self._newest else None

    def _next(self) -> list[Command]:
        batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        if self._ripe_in() == 0:
            batch += self._newest.values()
            self._newest = {}
        return batch


def post(command: Command) -> None:
    """Send this soon, after all that was posted before; never blocks, never raises."""
    _post.take(command)


def post_newest(key: Hashable, command: Command) -> None:
    """Send this within 50 ms, unless a newer one of the same key takes its place until then.

    It may come after what is posted later.
    """
    _post.take_newest(key, command)


def waiting() -> int:
    """Return how much has been posted and not yet sent."""
    return len(_post)


def flush(seconds: float = 5.0) -> bool:
    """Wait until everything posted has been sent or given up; tell whether it has."""
    return _post.wait(seconds)


def _send(batch: list[Command]) -> bool:
    try:
        pipeline = _redis().pipeline(transaction=False)
        for command in batch:
            command(pipeline)
        pipeline.execute(raise_on_error=False)
    except redis.RedisError as error:
        logger.warning("%s messages not sent, the rows are kept: %s", len(batch), error)
        return False
    except Exception:
        logger.exception("a message could not be made, the rows are kept")
    return True


def _redis() -> Any:  # its annotations mix the sync and the async client
    url = settings.REDIS_URL
    if url not in _clients:
        _clients[url] = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
    return _clients[url]


def _afresh() -> None:
    # A forked child has neither the thread nor the socket, and maybe a lock that nobody frees. What
    # it inherits is kept: a client that is let go closes itself and would wait for that lock.
    global _post, _clients
    _inherited.extend((_post, _clients))
    _post, _clients = _Post(), {}


_post = _Post()
_clients: dict[str, Any] = {}
_inherited: list[Any] = []
os.register_at_fork(after_in_child=_afresh)
atexit.register(lambda: _post.wait(_EXIT_SECONDS))
