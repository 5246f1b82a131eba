"""A repository that does not answer keeps its own project waiting, and nobody else."""

from __future__ import annotations

import asyncio
import threading
import uuid

from agents.runtime.files import OF_A_PROJECT, in_files, in_repository


async def test_a_hanging_remote_holds_up_only_its_own_project():
    slow, other = uuid.uuid4(), uuid.uuid4()
    answer = threading.Event()
    hanging = [asyncio.ensure_future(in_repository(slow, answer.wait, 60)) for _ in range(20)]
    try:
        async with asyncio.timeout(20):
            assert await in_repository(other, lambda: "fetched") == "fetched"
            assert await in_files(lambda: "written") == "written"
        assert not any(each.done() for each in hanging)
    finally:
        answer.set()
    assert all(await asyncio.gather(*hanging))


async def test_a_caller_that_is_stopped_gives_its_thread_back_only_when_the_thread_is_free():
    slow, answer = uuid.uuid4(), threading.Event()
    begun = threading.Semaphore(0)

    def fetch() -> bool:
        begun.release()
        return answer.wait(60)

    try:
        hanging = [asyncio.ensure_future(in_repository(slow, fetch)) for _ in range(OF_A_PROJECT)]
        for _ in hanging:
            assert await asyncio.to_thread(begun.acquire, timeout=20)
        for each in hanging:
            each.cancel()
        await asyncio.wait(hanging)
        late = asyncio.ensure_future(in_repository(slow, lambda: "fetched"))
        done, _ = await asyncio.wait([late], timeout=0.5)
        assert not done
    finally:
        answer.set()
    assert await late == "fetched"
