"""Blocking work on git and files: its own threads, so that it never holds a database connection."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 4  # checks run here too; more would only slow each other on a small machine


async def in_files(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `fn` on a file thread; it must not touch the database."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_executor(), partial(fn, *args, **kwargs))


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "files")
