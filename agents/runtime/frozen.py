"""Ends connections of processes that were stopped while they sent statements together."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

# Such a server process is in the middle of a statement, not idle in its transaction, so PostgreSQL's
# own timeout leaves it its rows. COPY, as in a restore, waits for its client in the same way.
_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database() AND state = 'active'
  AND wait_event = 'ClientRead' AND query !~* '^\\s*copy'
  AND query_start < statement_timestamp() - %s * interval '1 second'
"""


def disconnect() -> int:
    """End what has waited for its client as long as a lease lasts; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_END, [settings.LEASE_SECONDS])
        ended: int = cursor.fetchone()[0]
    return ended
