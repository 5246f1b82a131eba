"""Claims steps and carries them side by side: every waiting happens here, none in Celery."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import Error as DatabaseError

from agents import arrivals, dispatch
from agents.runtime import carrying, frozen, lease, presence, providers, sweeping
from agents.runtime.claims import take_and_open
from agents.runtime.database import at_once, in_db

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable

    from agents.runtime.claims import Claimed
    from agents.runtime.contract import Outcome, Work

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0  # finds work whose bell was lost
WATCH_SECONDS = 1.0  # a stopped task's model call is closed within this and one query
SWEEP_SECONDS = 2.0
TIDY_SECONDS = 60.0
_ECHO_SECONDS = 0.05  # as long as others hold rows to claim them
_BATCH = 50


class Runtime:
    """One per process. Its methods run on its own loop."""

    def __init__(
        self, *, perform: Callable[[Work], Awaitable[Outcome]] | None = None, owner: str = ""
    ) -> None:
        self.owner = owner or _owner()
        self.capacity = settings.STEPS_IN_FLIGHT
        self._perform = perform
        self._running: dict[tuple[uuid.UUID, int], asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._called = asyncio.Event()
        self._rung_here = False  # and nobody else knows of it
        self._echo: asyncio.TimerHandle | None = None
        self._drain = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._renewed_at = time.monotonic()
        self._renew_at = 0.0

    def wake(self) -> None:
        """Look for work now, and for tasks that have just come."""
        self._called.set()
        self._bell.set()

    def _wake_here(self) -> None:
        self._rung_here = True
        self._bell.set()

    def drain(self) -> None:
        """Claim nothing more; `run` ends when what runs has been given back."""
        self._drain.set()

    @property
    def in_flight(self) -> int:
        """The number of steps running here."""
        return len(self._running)

    async def run(self) -> None:
        """Carry steps until drained."""
        loop = asyncio.get_running_loop()
        logger.info("runtime %s claims up to %s steps at once", self.owner, self.capacity)
        duties = [
            asyncio.create_task(self._every(POLL_SECONDS, self._claim, bell=self._bell)),
            asyncio.create_task(self._every(POLL_SECONDS, self._admit, bell=self._called)),
            asyncio.create_task(self._every(WATCH_SECONDS, self._watch)),
            asyncio.create_task(self._every(SWEEP_SECONDS, self._sweep)),
            asyncio.create_task(self._every(TIDY_SECONDS, self._tidy)),
            asyncio.create_task(self._every(presence.EVERY_SECONDS, self._show)),
        ]
        with dispatch.at_hand(lambda: loop.call_soon_threadsafe(self._wake_here)):
            await self._drain.wait()
        dispatch.ring()  # what rings from here on, and may have rung just now, is for others
        await self._give_back()
        for duty in duties:
            duty.cancel()
        await asyncio.gather(*duties, return_exceptions=True)
        await asyncio.to_thread(presence.leave, self.owner)
        await providers.close()
        logger.info("runtime %s is drained", self.owner)

    async def _every(
        self,
        seconds: float,
        duty: Callable[[], Awaitable[None]],
        *,
        bell: asyncio.Event | None = None,
    ) -> None:
        while True:
            try:
                await duty()
            except DatabaseError as error:
                logger.warning("the database did not answer, trying again: %s", error)
            except Exception:
                logger.exception("a duty of the runtime failed, trying again")
            pause = seconds * random.uniform(0.9, 1.1)  # noqa: S311  # spreads processes
            await _pause(bell, pause)

    async def _admit(self) -> None:
        """Give tasks that came in a crowd their first step, however busy this worker is."""
        if not self._drain.is_set() and await in_db(arrivals.admit_all) > 0:
            self._bell.set()

    async def _claim(self) -> None:
        """Take what there is; what there is no room for is said to the others.

        Once: a bell that came from the broker would go round among full workers for ever.
        """
        rung_here, self._rung_here = self._rung_here, False
        try:
            left = await self._take_all()
        except BaseException:
            self._rung_here |= rung_here
            raise
        if rung_here and left:
            dispatch.pass_on()
        elif rung_here and self._echo is None:
            self._echo = asyncio.get_running_loop().call_later(_ECHO_SECONDS, self._look_again)

    def _look_again(self) -> None:
        """Look once more after a ring: another worker may have held a row or an agent just then."""
        self._echo = None
        self._bell.set()

    async def _take_all(self) -> bool:
        """Claim until there is no more or no room; tell whether there may be something left."""
        while (free := min(_BATCH, self.capacity - self.in_flight)) > 0:
            async with self._claiming:
                if self._drain.is_set():
                    return False
                taken, batch = await in_db(take_and_open, self.owner, limit=free)
                for claimed in batch:
                    self._start(claimed)
            if taken < free:
                return False
        return True

    def _start(self, claimed: Claimed) -> None:
        key = (claimed.step.pk, claimed.attempt.number)
        carry = carrying.carry(claimed, draining=self._drain.is_set, perform=self._perform)
        task = asyncio.create_task(carry, name=f"step {key[0]}.{key[1]}")
        self._running[key] = task
        capped = claimed.step.agent.max_in_flight is not None
        task.add_done_callback(lambda done: self._ended(key, done, capped=capped))

    def _ended(self, key: tuple[uuid.UUID, int], done: asyncio.Task[None], *, capped: bool) -> None:
        if capped or self.in_flight >= self.capacity:
            self._bell.set()  # there is room again; what became ready has rung by itself
        del self._running[key]
        if not done.cancelled() and (error := done.exception()):
            # The lease runs out and the sweeper gives the step back.
            logger.error("step %s ended by a fault", key[0], exc_info=error)

    async def _watch(self) -> None:
        """Renew leases when due, and cancel what is no longer ours: stopped, swept or taken."""
        keys = list(self._running)
        if not keys:
            self._renewed_at = time.monotonic()
            return
        steps = [step for step, _ in keys]
        now = time.monotonic()
        try:
            if now >= self._renew_at:
                held = await at_once(lease.renew, self.owner, steps)
                self._renewed_at = now
                self._renew_at = now + min(settings.HEARTBEAT_SECONDS, settings.LEASE_SECONDS / 3)
            else:
                held = await at_once(lease.held, self.owner, steps)
        except DatabaseError:
            if time.monotonic() - self._renewed_at > settings.LEASE_SECONDS:
                self._cancel(keys)  # by now somebody else has them
            raise
        self._cancel([key for key in keys if held.get(key[0]) != key[1]])

    def _cancel(self, keys: list[tuple[uuid.UUID, int]]) -> None:
        for key in keys:
            if task := self._running.get(key):
                task.cancel()

    async def _sweep(self) -> None:
        if swept := await at_once(lease.sweep):
            logger.warning("%s steps of lost workers are given back", swept)
            self._bell.set()
        if ended := await at_once(frozen.disconnect):
            logger.warning("%s connections of processes that do not go on are ended", ended)

    async def _tidy(self) -> None:
        await in_db(sweeping.help_stuck_tasks)
        await sweeping.remove_leftovers()

    async def _show(self) -> None:
        await asyncio.to_thread(presence.show, self.owner, self.in_flight)

    async def _give_back(self) -> None:
        """Let running steps end at a checkpoint, then cancel the rest; each releases its lease."""
        async with self._claiming:
            running = list(self._running.values())
        if not running:
            return
        await asyncio.wait(running, timeout=settings.DRAIN_SECONDS)
        self._cancel(list(self._running))
        await asyncio.gather(*self._running.values(), return_exceptions=True)


async def _pause(bell: asyncio.Event | None, seconds: float) -> None:
    if bell is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return
    bell.clear()


def _owner() -> str:
    # Random: a process that starts anew must not hold the leases of the one before.
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
