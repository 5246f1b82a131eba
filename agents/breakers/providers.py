"""The breaker of each model provider: after a row of failures steps wait, and one tries whether it heals.

The row is shared by all workers and is written only when something fails or heals. The clock is
the database's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from agents import attempts

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILURES = 5
WITHIN_SECONDS = 60
OPEN_SECONDS = 30
_SPREAD_SECONDS = 3.0  # what waited does not come back all at once
_ERROR = 500  # characters

_NOT_CLOSED = """
SELECT provider, error, greatest(extract(epoch FROM open_until - statement_timestamp()), 0)::float
FROM agents_providerbreaker WHERE provider = ANY(%s) AND state <> 'closed'
"""
_PROBE = """
UPDATE agents_providerbreaker
SET state = 'half_open', open_until = statement_timestamp() + %s * interval '1 second',
    changed_at = statement_timestamp()
WHERE provider = %s AND state <> 'closed' AND open_until <= statement_timestamp()
"""
_FAILED = """
INSERT INTO agents_providerbreaker AS breaker (provider, state, failures, error, changed_at)
VALUES (%(provider)s, 'closed', ARRAY[statement_timestamp()], %(error)s, statement_timestamp())
ON CONFLICT (provider) DO UPDATE SET (failures, error, state, open_until, changed_at) = (
    SELECT lately.failures, excluded.error,
        CASE WHEN lately.opens THEN 'open' ELSE breaker.state END,
        CASE WHEN lately.opens THEN statement_timestamp() + %(open)s * interval '1 second'
             ELSE breaker.open_until END,
        CASE WHEN lately.opens THEN statement_timestamp() ELSE breaker.changed_at END
    FROM (
        SELECT failures,
            breaker.state = 'half_open' OR (breaker.state = 'closed' AND cardinality(failures) >= %(most)s)
            AS opens
        FROM (
            SELECT array_append(
                array(SELECT moment FROM unnest(breaker.failures) AS moment
                      WHERE moment > statement_timestamp() - %(within)s * interval '1 second'
                      ORDER BY moment OFFSET greatest(cardinality(breaker.failures) - %(most)s, 0)),
                statement_timestamp()
            ) AS failures
        ) AS counted
    ) AS lately
)
"""
_CLOSE = """
UPDATE agents_providerbreaker
SET state = 'closed', open_until = NULL, failures = '{}', error = '',
    changed_at = statement_timestamp()
WHERE provider = %s AND state <> 'closed'
"""
_WAKE = """
UPDATE agents_step SET available_at = statement_timestamp() + random() * %s * interval '1 second'
WHERE id IN (
    SELECT id FROM agents_step
    WHERE state = 'ready' AND available_at > statement_timestamp() AND starts_with(reason, %s)
    FOR NO KEY UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The call may be made; of `probing` it is the one that tries whether they answer again."""

    probing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """No call may be made yet."""

    seconds: float
    reason: str


def admit(providers: Sequence[str], *, probe_seconds: float = OPEN_SECONDS) -> Admitted | Waiting:
    """Tell whether a model of one of these may be called; one read while all is well.

    Of a provider whose time is over exactly one caller is let through, for `probe_seconds`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NOT_CLOSED, [list(providers)])
        shut = {provider: (error, left) for provider, error, left in cursor.fetchall()}
        if len(shut) < len(set(providers)):
            return Admitted()
        for provider in shut:
            cursor.execute(_PROBE, [max(probe_seconds, OPEN_SECONDS), provider])
            if cursor.rowcount:
                return Admitted(probing=(provider,))
    provider, (error, left) = min(shut.items(), key=lambda each: each[1][1])
    spread = random.uniform(0.2, _SPREAD_SECONDS)  # noqa: S311  # spreads load, guards nothing
    return Waiting(seconds=left + spread, reason=_waiting_for(provider) + f" It said last: {error}")


def failed(providers: Sequence[str], error: str) -> None:
    """Count a failure of each; the fifth within a minute opens it, and so does one that was tried."""
    with connection.cursor() as cursor:
        for provider in sorted(set(providers)):
            given: dict[str, Any] = {
                "provider": provider,
                "error": error[:_ERROR],
                "open": OPEN_SECONDS,
            }
            cursor.execute(_FAILED, {**given, "most": FAILURES, "within": WITHIN_SECONDS})


def healed(providers: Sequence[str]) -> None:
    """Let every call through again and wake the steps that wait; nothing when it is closed."""
    for provider in sorted(set(providers)):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_CLOSE, [provider])
            if cursor.rowcount:
                cursor.execute(_WAKE, [_SPREAD_SECONDS, _waiting_for(provider)])


def _waiting_for(provider: str) -> str:
    return (
        f"{attempts.WAITING} {provider}: {FAILURES} calls failed within {WITHIN_SECONDS} seconds, "
        "so it is left alone for a while."
    )
