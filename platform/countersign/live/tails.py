"""What running steps have written so far, for those who come late."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from agents.runtime.streaming import tail_key
from countersign.live.frames import DeltaFrame

if TYPE_CHECKING:
    from redis.asyncio import Redis

SECONDS = 2.0  # a watcher waits no longer for a Redis that does not answer
logger = logging.getLogger(__name__)


async def of(redis: Redis, steps: list[str]) -> dict[str, list[DeltaFrame]]:
    """Return the kept deltas of each step, oldest first; nothing when Redis is away."""
    try:
        # Not by socket_timeout: see Mux, it can swallow the cancellation of a feed.
        async with asyncio.timeout(SECONDS):
            pipeline = redis.pipeline(transaction=False)
            for step in steps:
                pipeline.xrange(tail_key(step))
            kept: list[Any] = await pipeline.execute()
    except (RedisError, OSError, TimeoutError) as error:
        logger.debug("no tails of %s steps: %s", len(steps), error)
        return {}
    return {
        step: [_frame(step, fields) for _, fields in entries]
        for step, entries in zip(steps, kept, strict=True)
    }


def _frame(step: str, fields: dict[bytes, bytes]) -> DeltaFrame:
    offset, text = int(fields[b"offset"]), fields[b"text"].decode()
    return DeltaFrame(kind="delta", step=step, offset=offset, text=text)


class Written:
    """How far each step's unfinished message was sent, so that a tail and live text never overlap."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}

    def is_new(self, frame: dict[str, Any] | DeltaFrame) -> bool:
        """Tell whether a delta says more than was sent, and count it; offset 0 begins anew."""
        step, offset = str(frame.get("step")), int(frame.get("offset", 0))
        end = offset + len(str(frame.get("text", "")))
        if offset and end <= self._ends.get(step, 0):
            return False
        self._ends[step] = end
        return True
