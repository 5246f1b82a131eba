"""Lets steps that come at the same moment share one transaction; alone a step waits for nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError, connection

from agents.runtime.database import in_db

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

MOST = 50  # of one transaction: it holds its locks as long as it takes


class Together(Generic[A, R]):
    """Runs `many` for whatever has come in while it ran before.

    `many` gives a result or an error for each item, in one transaction. When it fails as a whole,
    each item is tried alone, so that one that cannot be written spoils no other.
    """

    def __init__(self, many: Callable[[list[A]], Sequence[R | Exception]]) -> None:
        self._many = many
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue[A, R]] = (
            WeakKeyDictionary()
        )

    async def __call__(self, item: A) -> R:
        """Return what came of this item, or raise its error."""
        loop = asyncio.get_running_loop()
        queue = self._queues.setdefault(loop, _Queue(self._many))
        return await queue.add(item)


class _Queue(Generic[A, R]):
    def __init__(self, many: Callable[[list[A]], Sequence[R | Exception]]) -> None:
        self._many = many
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def add(self, item: A) -> R:
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            batch = [(item, future) for item, future in batch if not future.done()]
            try:
                results = await in_db(self._each, [item for item, _ in batch])
            except Exception as error:  # noqa: BLE001  # each of them has to hear of it
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                _tell(future, result)

    def _each(self, items: list[A]) -> Sequence[R | Exception]:
        try:
            return self._many(items)
        except (OperationalError, InterfaceError):
            if len(items) == 1 or not connection.is_usable():
                raise  # it would be the same for each
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this item's
            if len(items) == 1:
                return [error]
        return [self._alone(item) for item in items]

    def _alone(self, item: A) -> R | Exception:
        try:
            return self._each([item])[0]
        except (OperationalError, InterfaceError) as error:
            return error


def _tell(future: asyncio.Future[R], result: R | Exception) -> None:
    if future.done():
        return  # nobody waits any more
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


async def to_the_end(writing: Awaitable[T]) -> T:
    """Await a short writing to its end though cancelled meanwhile; the cancellation follows it.

    A paid answer that is being stored when its worker drains would otherwise be paid again.
    """
    task = asyncio.ensure_future(writing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as signal:
            cancelled = signal
    if cancelled is not None:
        task.exception()  # looked at: it is not reported as lost
        raise cancelled
    return task.result()
