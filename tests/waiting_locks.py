"""Waits until another connection waits for a lock, so that a race is played in one order."""

from __future__ import annotations

import time

from django.db import connection

SECONDS = 10


def until_somebody_waits(count: int = 1) -> None:
    """Return as soon as so many connections wait for a lock; fails when they do not in time."""
    deadline = time.monotonic() + SECONDS
    with connection.cursor() as cursor:
        waiting = 0
        while waiting < count:
            assert time.monotonic() < deadline, "nobody waits"
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            waiting = cursor.fetchone()[0]
