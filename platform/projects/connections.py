"""How the processes that send the same few dozen statements all day connect to PostgreSQL."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cachetools import LRUCache
from django.db import DatabaseError, connection
from django.db.backends.postgresql.base import ServerBindingCursor
from psycopg.errors import FeatureNotSupported
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.utils import CursorWrapper

_PREPARE_AFTER = 3  # times a statement was sent over a connection
# Where other statements are not: one of a page takes up to two megabytes of the server, filters are many.
_PREPARED_AT_MOST = 40
_COUNTED = 400  # statements of a connection
_ASKED: WeakKeyDictionary[Any, LRUCache[int, int]] = WeakKeyDictionary()  # how often each was sent
# One plan for all there is to ask: right where rows are named by their keys, in an array that is
# seldom as long as the last one. It costs a third of a new plan for each.
ONE_PLAN = "force_generic_plan"
# A plan for what is asked: right where rows are found by their state. A plan for all states can use
# no index of one of them, and would read everything that is finished.
NEW_PLANS = "force_custom_plan"


def preparing(given: dict[str, Any], *, plans: str) -> dict[str, Any]:
    """Return connection settings with which statements are prepared when they come again.

    To plan them anew took a tenth to a fifth of what they cost the server. A web server asks too many kinds.
    They are none of those kept for pages: each thread keeps its own.
    """
    more = {"server_side_binding": True, "prepare_threshold": _PREPARE_AFTER}
    options = {**more, **given["OPTIONS"]}
    # Django keeps one pool, made by whoever connects first: pages and these would take each other's.
    options.pop("pool", None)
    options["options"] = f"-c plan_cache_mode={plans} {options.get('options', '')}".strip()
    return {**given, "OPTIONS": options}


def kept_cursor() -> CursorWrapper:
    """Return a cursor for what is spelled once and sent again: prepared where its connection prepares.

    Pages send long statements that read a few rows each: to parse and plan them took more than half of
    what they cost the server. Of what else a web server asks there are too many kinds.
    """
    cursor = connection.cursor()
    cursor.cursor.close()
    if not connection.settings_dict["OPTIONS"].get("server_side_binding"):
        connection.connection.prepared_max = _PREPARED_AT_MOST
    cursor.cursor = _KeptCursor(connection.connection)  # type: ignore[call-arg]  # of psycopg
    return cursor


class _KeptCursor(ServerBindingCursor):
    """Prepares what comes again by a count of its own: psycopg counts all that is sent, the newest only."""

    connection: Any  # of psycopg

    def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        """Send a statement; once more where it was prepared before a migration changed what it gives."""
        asked = _ASKED.setdefault(self.connection, LRUCache(_COUNTED))
        asked[hash(query)] = times = asked.get(hash(query), 0) + 1
        how.setdefault("prepare", times > _PREPARE_AFTER or None)
        send: Any = super().execute  # type: ignore[misc]  # of psycopg
        try:
            return send(query, params, **how)
        except FeatureNotSupported:
            # "cached plan must not change result type", on each use from then on.
            if self.connection.info.transaction_status != TransactionStatus.IDLE:
                raise  # its rollback lets go of all that is prepared
            self.connection._prepared.clear()
            return send(query, params, **{**how, "prepare": False})


@contextmanager
def sent_together() -> Iterator[None]:
    """Send the statements inside in one round trip, and read what they found after it.

    A thread that shares its interpreter waits three milliseconds to go on after each, however short
    they are. The first that fails is raised at the end; those behind it are not carried out.
    """
    connection.ensure_connection()
    try:
        with connection.wrap_database_errors, connection.connection.pipeline():
            yield
    except BaseException:
        # psycopg believes prepared what was not carried out, until a transaction is rolled back.
        if not connection.in_atomic_block:
            connection.connection.close()  # or a pool would give it to the next
            connection.close()
        raise


@contextmanager
def planned_anew() -> Iterator[None]:
    """Let each statement be planned for what it asks, on a connection that keeps one plan."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET plan_cache_mode = {NEW_PLANS}")
    try:
        yield
    finally:
        with suppress(DatabaseError), connection.cursor() as cursor:  # a new one keeps one plan
            cursor.execute("RESET plan_cache_mode")
