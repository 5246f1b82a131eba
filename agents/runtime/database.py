"""Synchronous ORM code from asyncio: four threads, each with one living connection."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from django.db import connection, connections

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
    """Run `fn` on a database thread; a cancelled caller does not stop it."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_running(), partial(_call, fn, *args, **kwargs))


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
    _opened.append(wrapper)


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
        if wrapper.errors_occurred and not wrapper.is_usable():
            wrapper.close()
