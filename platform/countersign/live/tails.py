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


async def tail(redis: Redis, step: str) -> list[DeltaFrame]:
    """Return the kept deltas of one step, oldest first; nothing when Redis is away."""
    try:
        # Not by socket_timeout: see Mux, it can swallow the cancellation of a feed.
        async with asyncio.timeout(SECONDS):
            entries: Any = await redis.xrange(tail_key(step))
    except (RedisError, OSError, TimeoutError) as error:
        logger.debug("no tail of step %s: %s", step, error)
        return []
    return [
        DeltaFrame(
            kind="delta", step=step, offset=int(fields[b"offset"]), text=fields[b"text"].decode()
        )
        for _, fields in entries
    ]


class Written:
    """How far each step's unfinished message was sent, so that a tail and live text never overlap."""

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
