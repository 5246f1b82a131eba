"""Synchronous ORM code from asyncio: four threads, each with one living connection."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import connection, connections

from agents.runtime import frozen
from projects.connections import ONE_PLAN, preparing

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4  # also the number of connections of one worker process
_CHECK_AFTER = 5.0  # seconds a connection may rest before it is tried with SELECT 1

_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None
_opened: list[BaseDatabaseWrapper] = []
_thread = threading.local()


async def in_db(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` on a database thread; a cancelled caller does not stop what has begun."""
    return await _lanes().run(partial(_call, fn, *args, **kwargs), urgent=False)


async def at_once(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` before all that waits for a database thread: a thousand steps that end together
    must not keep a heartbeat waiting until the leases have run out."""
    return await _lanes().run(partial(_call, fn, *args, **kwargs), urgent=True)


class _Lanes:
    """Hands the database threads of one loop to what is urgent first, then to who came first."""

    def __init__(self) -> None:
        self._free = THREADS
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    async def run(self, job: Callable[[], T], *, urgent: bool) -> T:
        await self._turn(self._urgent if urgent else self._others)
        loop = asyncio.get_running_loop()
        try:
            running = loop.run_in_executor(_running(), job)
        except BaseException:
            self._next()
            raise
        # Freed by the job's end, not by its caller's: a cancelled caller does not stop it.
        running.add_done_callback(lambda _: self._next())
        return await asyncio.shield(running)

    async def _turn(self, lane: deque[asyncio.Future[None]]) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()  # its turn had come already
            raise

    def _next(self) -> None:
        for lane in (self._urgent, self._others):
            while lane:
                turn = lane.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


_every_lane: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lanes] = WeakKeyDictionary()


def _lanes() -> _Lanes:
    return _every_lane.setdefault(asyncio.get_running_loop(), _Lanes())


def close() -> None:
    """Wait for what runs, then close the threads and their connections."""
    global _executor
    with _lock:
        executor, _executor = _executor, None
    if executor is not None:
        executor.shutdown(wait=True)
    while _opened:
        _opened.pop().close()


def _running() -> ThreadPoolExecutor:
    global _executor
    with _lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(THREADS, "database", initializer=_open)
        return _executor


def _open() -> None:
    wrapper = connections[connection.alias]
    wrapper.inc_thread_sharing()  # close() runs on another thread
    wrapper.settings_dict = preparing(_let_go(wrapper.settings_dict), plans=ONE_PLAN)
    _opened.append(wrapper)


def _let_go(given: dict[str, Any]) -> dict[str, Any]:
    """Return connection settings with which a process that is stopped inside a transaction holds its
    rows no longer than its steps: others would wait for it, leases or not."""
    options = given["OPTIONS"]
    idle = f"-c idle_in_transaction_session_timeout={settings.LEASE_SECONDS}s"
    more = {"options": f"{options.get('options', '')} {idle}", "application_name": frozen.NAME}
    return {**given, "OPTIONS": {**options, **more}}


def _call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    wrapper = connections[connection.alias]
    rested = time.monotonic() - getattr(_thread, "used_at", 0.0)
    # A server that was restarted shows only when the connection is used.
    if rested > _CHECK_AFTER and wrapper.connection is not None and not wrapper.is_usable():
        wrapper.close()
    try:
        return fn(*args, **kwargs)
    finally:
        _thread.used_at = time.monotonic()
        if wrapper.errors_occurred:
            wrapper.close()  # it may be broken, or hold statements of tables that have changed
