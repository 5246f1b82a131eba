"""What comes at once shares a transaction; what cannot be written spoils no other."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agents.runtime.batching import Together, to_the_end
from agents.runtime.database import THREADS, at_once, in_db


async def test_what_comes_meanwhile_goes_together() -> None:
    batches: list[list[int]] = []
    first = threading.Event()

    def double(items: list[int]) -> list[int]:
        batches.append(items)
        first.wait(30)
        return [2 * item for item in items]

    together = Together(double)
    waiting = [asyncio.create_task(together(number)) for number in range(5)]
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(together(number)) for number in range(5, 9)]
    await asyncio.sleep(0)
    first.set()
    assert await asyncio.gather(*waiting) == [2 * number for number in range(9)]
    assert sum(len(batch) for batch in batches) == 9
    assert len(batches) <= 3


async def test_one_that_fails_is_tried_alone() -> None:
    def invert(items: list[int]) -> list[int]:
        return [12 // item for item in items]

    together = Together(invert)
    asked = [together(number) for number in (1, 0, 3)]
    made = await asyncio.gather(*asked, return_exceptions=True)
    assert made[0] == 12
    assert isinstance(made[1], ZeroDivisionError)
    assert made[2] == 4


async def test_a_writing_ends_though_it_is_cancelled() -> None:
    begun, let_go, written = asyncio.Event(), asyncio.Event(), []

    async def write() -> None:
        begun.set()
        await let_go.wait()
        written.append(1)

    task = asyncio.create_task(to_the_end(write()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert written == [1]


async def test_what_is_urgent_passes_what_waits() -> None:
    free, order = threading.Event(), []
    busy = [asyncio.create_task(in_db(free.wait, 30)) for _ in range(THREADS)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(in_db(order.append, number)) for number in range(20)]
    await asyncio.sleep(0)
    heartbeat = asyncio.create_task(at_once(order.append, "heartbeat"))
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(*busy, *others, heartbeat)
    assert order.index("heartbeat") < len(order) // 2
    assert len(order) == 21
