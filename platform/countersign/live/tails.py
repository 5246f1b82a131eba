"""What running steps have written so far, for those who come late."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from agents.runtime.streaming import WRITING, Writing, tail_key
from countersign.live.frames import DeltaFrame

if TYPE_CHECKING:
    from redis.asyncio import Redis

SECONDS = 2.0  # a watcher waits no longer for a Redis that does not answer
logger = logging.getLogger(__name__)


async def of(redis: Redis, steps: list[str]) -> dict[str, list[DeltaFrame]]:
    """Return the kept deltas of each step, thoughts first, then oldest first; nothing without Redis."""
    wanted = [(step, kind) for step in steps for kind in WRITING]
    try:
        # Not by socket_timeout: see Mux, it can swallow the cancellation of a feed.
        async with asyncio.timeout(SECONDS):
            pipeline = redis.pipeline(transaction=False)
            for step, kind in wanted:
                pipeline.xrange(tail_key(step, kind))
            kept: list[Any] = await pipeline.execute()
    except (RedisError, OSError, TimeoutError) as error:
        logger.debug("no tails of %s steps: %s", len(steps), error)
        return {}
    found: dict[str, list[DeltaFrame]] = {step: [] for step in steps}
    for (step, kind), entries in zip(wanted, kept, strict=True):
        found[step] += [_frame(step, kind, fields) for _, fields in entries]
    return found


def _frame(step: str, kind: Writing, fields: dict[bytes, bytes]) -> DeltaFrame:
    offset, text = int(fields[b"offset"]), fields[b"text"].decode()
    return DeltaFrame(kind=kind, step=step, offset=offset, text=text)


class Written:
    """How far each step's message and thought were sent, so that a tail and live text never overlap."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str], int] = {}

    def is_new(self, frame: dict[str, Any] | DeltaFrame) -> bool:
        """Tell whether a delta says more than was sent, and count it; offset 0 begins anew."""
        of, offset = (str(frame.get("step")), str(frame.get("kind"))), int(frame.get("offset", 0))
        end = offset + len(str(frame.get("text", "")))
        if offset and end <= self._ends.get(of, 0):
            return False
        self._ends[of] = end
        return True
