"""Ends connections of processes that were stopped while they sent statements together."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

NAME = "countersign-agents"  # of the connections of agent workers, as PostgreSQL shows it
# Such a server process is in the middle of a statement, not idle in its transaction, so PostgreSQL's
# own timeout leaves it its rows. Only our own: a restore waits for its client in the same way.
_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND state = 'active'
  AND wait_event = 'ClientRead' AND application_name = %s
  AND query_start < statement_timestamp() - %s * interval '1 second'
"""


def disconnect() -> int:
    """End what has waited for its client as long as a lease lasts; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_END, [NAME, settings.LEASE_SECONDS])
        ended: int = cursor.fetchone()[0]
    return ended
