"""Lets one process alone see to a row, for as long as it lives."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator


@contextmanager
def alone(pk: uuid.UUID) -> Iterator[bool]:
    """Hold a row by a session lock, and tell whether it is ours; does not wait.

    It falls with the process, so a crash frees the row at once.
    """
    key = pk.int & (2**63 - 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        mine: bool = cursor.fetchone()[0]
    try:
        yield mine
    finally:
        if mine:
            _release(key)


def _release(key: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
    except DatabaseError:
        connection.close()  # the lock falls with the session
