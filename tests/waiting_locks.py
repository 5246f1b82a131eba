"""Waits until another connection waits for a lock, so that a race is played in one order."""

from __future__ import annotations

import time

from django.db import connection

SECONDS = 10


def until_somebody_waits() -> None:
    """Return as soon as any connection waits for a lock; fails when none does in time."""
    deadline = time.monotonic() + SECONDS
    with connection.cursor() as cursor:
        waiting = 0
        while not waiting:
            assert time.monotonic() < deadline, "nobody waits"
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            waiting = cursor.fetchone()[0]
