"""Blocking work on git and files: its own threads, so that it never holds a database connection."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 2  # more would only wait for each other between their many small calls
# Most of them wait: for a remote, or for the checks of a project.
_WAITING_THREADS = 8
OF_A_PROJECT = 4  # at once; so one whose remote hangs leaves room for the others


async def in_files(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` on a file thread; it is soon over, and must not touch the database."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_quick(), partial(fn, *args, **kwargs))


async def in_repository(
    project: uuid.UUID, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `fn`, which may wait for a remote or for checks, and must not touch the database.

    On threads of its own, only some of them for one project: a remote that does not answer keeps
    neither the files of steps at work waiting nor another project. A cancelled caller does not stop
    what has begun.
    """
    loop = asyncio.get_running_loop()
    turns = _turns(loop, project)
    await turns.acquire()
    try:
        running = _patient().submit(fn, *args, **kwargs)
    except BaseException:
        turns.release()
        raise

    def over(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before it
            loop.call_soon_threadsafe(turns.release)

    running.add_done_callback(over)
    return await asyncio.wrap_future(running)


_every_turn: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[uuid.UUID, asyncio.Semaphore]] = (
    WeakKeyDictionary()
)


def _turns(loop: asyncio.AbstractEventLoop, project: uuid.UUID) -> asyncio.Semaphore:
    known = _every_turn.setdefault(loop, {})
    return known.setdefault(project, asyncio.Semaphore(OF_A_PROJECT))


@cache
def _quick() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "files")


@cache
def _patient() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WAITING_THREADS, "repository")
