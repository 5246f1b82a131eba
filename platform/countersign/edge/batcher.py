"""Writes requests that come side by side together; nobody waits for a timer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import Error, InterfaceError, OperationalError

from agents import intake
from agents.runtime.database import at_once
from countersign.api.problems import Problem, database_away

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents.accepting import Outcome
    from agents.requests import Asked

    Write = Callable[[Sequence[Asked]], list[Outcome]]

AT_ONCE = 256  # requests written together
MOST_WAITING = 2_000  # then the next are refused at once
PATIENCE = 4.0  # seconds a request may wait for its commit
_LOOK_SECONDS = 0.25
_AWAY = (OperationalError, InterfaceError)
logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    asked: Asked
    outcome: asyncio.Future[Outcome]
    until: float  # by the loop's clock


class Batcher:
    """Writes what has gathered as soon as the commit before has returned: the busier, the larger.

    One batch at a time, as two gained nothing when measured (facts of the web tier).
    """

    def __init__(self, write: Write = intake.submit_all) -> None:
        self._write = write
        self.loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._open: deque[_Waiting] = deque()  # everybody who has no answer, oldest first
        self._runner: asyncio.Task[None] | None = None
        self._clock: asyncio.TimerHandle | None = None

    async def submit(self, asked: Asked) -> Outcome:
        """Return what became of the request; raises Problem 503 when nobody can say in time."""
        if len(self._queue) >= MOST_WAITING:
            raise _busy()
        waiting = _Waiting(asked, self.loop.create_future(), self.loop.time() + PATIENCE)
        self._queue.append(waiting)
        self._open.append(waiting)
        if self._runner is None:
            self._runner = self.loop.create_task(self._run())
        if self._clock is None:
            self._look()
        return await waiting.outcome

    async def close(self) -> None:
        """Wait until all that was taken is written."""
        if self._runner is not None:
            await asyncio.wait({self._runner})
        if self._clock is not None:
            self._clock.cancel()

    async def _run(self) -> None:
        try:
            while self._queue:
                count = min(AT_ONCE, len(self._queue))
                batch = [self._queue.popleft() for _ in range(count)]
                # Who was told 503 meanwhile is not written: it may have been sent again.
                if batch := [waiting for waiting in batch if not waiting.outcome.done()]:
                    await self._flush(batch)
        finally:
            self._runner = None

    async def _flush(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = await at_once(self._write, [waiting.asked for waiting in batch])
        except _AWAY as error:
            logger.warning(
                "%s requests were not taken, the database is away: %s", len(batch), error
            )
            _fail(batch, database_away)
        except Exception:
            logger.exception("%s requests failed together", len(batch))
            _fail(batch, _fault)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Error):
                    _fail([waiting], database_away if isinstance(outcome, _AWAY) else _fault)
                elif not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)

    def _look(self) -> None:
        """Let nobody wait for ever, whatever the database does; one clock for all."""
        now = self.loop.time()
        while self._open and (self._open[0].outcome.done() or self._open[0].until <= now):
            _fail([self._open.popleft()], database_away)
        self._clock = self.loop.call_later(_LOOK_SECONDS, self._look) if self._open else None


def _fail(batch: list[_Waiting], problem: Callable[[], Problem]) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(problem())


def _fault() -> Problem:
    return Problem(
        500,
        "Countersign failed here. The fault was logged; whether the request was accepted only its "
        "Idempotency-Key tells.",
    )


def _busy() -> Problem:
    return Problem(
        503,
        f"{MOST_WAITING:,} requests wait already. Nothing was submitted; send it again.",
        headers={"Retry-After": "1"},
    )


_batcher: Batcher | None = None


def batcher() -> Batcher:
    """Return the one batcher of this process, whose event loop is its own."""
    global _batcher
    if _batcher is None or _batcher.loop is not asyncio.get_running_loop():
        _batcher = Batcher()
    return _batcher


async def close() -> None:
    """Write what was taken; only for the end of the process."""
    global _batcher
    made, _batcher = _batcher, None
    if made is not None:
        await made.close()
