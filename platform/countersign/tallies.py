"""How many rows of a table are in each state, without reading a large table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db import models

_SMALL = 256  # pages of 8 KiB: read whole in a millisecond
_SIZE = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"
_EXACT = "SELECT state, count(*) FROM {table} GROUP BY state"
# What the planner knows: how many rows there are, and the share of each state among those it looked
# at. A state it has not met is rare, unless it is new.
_ESTIMATED = """
WITH known AS (
    SELECT common.state, greatest(class.reltuples, 0) * common.share AS rows
    FROM pg_stats stats
    JOIN pg_class class ON class.oid = %(table)s::regclass
    CROSS JOIN unnest(stats.most_common_vals::text::text[], stats.most_common_freqs)
        AS common(state, share)
    WHERE stats.schemaname = current_schema() AND stats.tablename = %(table)s
      AND stats.attname = 'state'
)
SELECT one.state, coalesce((SELECT round(rows)::bigint FROM known WHERE known.state = one.state), 0)
FROM unnest(%(states)s::text[]) one(state)
"""


def by_state(model: type[models.Model], states: Sequence[str]) -> dict[str, int]:
    """Return the count of each state: exact in a small table, else the planner's estimate."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(_SIZE, [table])
        if cursor.fetchone()[0] <= _SMALL:
            cursor.execute(_EXACT.format(table=connection.ops.quote_name(table)))
        else:
            cursor.execute(_ESTIMATED, {"table": table, "states": list(states)})
        return dict.fromkeys(states, 0) | dict(cursor.fetchall())
