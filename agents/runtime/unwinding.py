"""Tells a thread that nobody waits for it, before what called it is unwound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


async def telling(doing: Coroutine[object, object, T], tell: Callable[[], None]) -> T:
    """Await a coroutine in a task of its own; cancelled, call `tell` first and then cancel it.

    A session with a server of ours closes only when the server's threads have ended: told while it
    is unwound, or after, a tool that runs for minutes would hold its cancelled step so long.
    """
    task = asyncio.ensure_future(doing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as signal:
            cancelled = signal
            tell()
            task.cancel()
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at: it is not reported as lost
        raise cancelled
    return task.result()
