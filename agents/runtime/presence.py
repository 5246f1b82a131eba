"""Shows in Redis that this worker lives; a row never depends on it."""

from __future__ import annotations

import json
import time
from functools import cache

import redis
from django.conf import settings

PREFIX = "cs:worker:agents:"
TTL_SECONDS = 15
EVERY_SECONDS = 5.0


def show(owner: str, in_flight: int) -> None:
    """Say that the worker lives and how many steps it carries; a deaf Redis is no fault."""
    facts = json.dumps({"in_flight": in_flight, "at": time.time()})
    _quietly("set", PREFIX + owner, facts, TTL_SECONDS)


def leave(owner: str) -> None:
    """Take the sign down."""
    _quietly("delete", PREFIX + owner)


def _quietly(command: str, *arguments: str | int) -> None:
    try:
        getattr(_redis(), command)(*arguments)
    except redis.RedisError:
        return


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
