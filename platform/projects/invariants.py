"""What must always be true: one named check per sentence, each returning the rows that break it.

The checks of a floor lie beside its rows; the roof collects and runs them.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from projects import anchoring, audit
from projects.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHOWN = 20  # rows named per check; the count says how many there are
_CHUNK = 500
_FIRST_ANCHOR = timedelta(minutes=10)  # by then an effects worker has written one


@dataclass(frozen=True, slots=True, kw_only=True)
class Offence:
    """One row that breaks an invariant, and how."""

    table: str  # as the admin names it, e.g. agents.task; empty for what is no row
    pk: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one check found: how many rows, and the first of them."""

    count: int
    shown: tuple[Offence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One invariant: a name, the sentence that must be true, and how to find what breaks it."""

    name: str
    sentence: str
    find: Callable[[], Found]


class NotChecked(Exception):
    """This cannot be looked at here; the message says why."""


@contextmanager
def one_moment() -> Iterator[None]:
    """Let every query inside see the database as it was at one moment; writes nothing."""
    if connection.in_atomic_block:  # a test's own transaction
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def sql(statement: str, arguments: dict[str, Any] | None = None) -> Found:
    """Run a query of (table, id, sentence) rows that break an invariant.

    Counts them all and names the first few, so it needs little memory however many there are.
    """
    counted = f"SELECT *, count(*) OVER () FROM ({statement}) AS found LIMIT {SHOWN}"  # noqa: S608  # ours
    with connection.cursor() as cursor:
        cursor.execute(counted, arguments or {})
        rows = cursor.fetchall()
    shown = tuple(Offence(table=row[0], pk=str(row[1]), said=str(row[2])) for row in rows)
    return Found(count=rows[0][3] if rows else 0, shown=shown)


def collect(offences: Iterable[Offence]) -> Found:
    """Count offences as they come and keep the first few."""
    found = iter(offences)
    shown = tuple(itertools.islice(found, SHOWN))
    return Found(count=len(shown) + sum(1 for _ in found), shown=shown)


def _audit_chain() -> Iterator[Offence]:
    """Walk the chain from its beginning; each entry must follow the one before it."""
    before = audit.GENESIS
    for entry in AuditEntry.objects.order_by("id").iterator(chunk_size=_CHUNK):
        if entry.previous_digest != before:
            yield _entry(entry, "does not follow the entry before it: one was removed or changed")
        elif entry.digest != audit.digest_of(entry):
            yield _entry(entry, "says something else than its digest")
        before = entry.digest


def _entry(entry: AuditEntry, said: str) -> Offence:
    return Offence(table="projects.auditentry", pk=str(entry.pk), said=f"{entry.action} {said}")


def _anchored() -> Iterator[Offence]:
    """Compare each anchor with its entry; they are read before the database is."""
    kept = _kept_anchors()
    for number in kept.unreadable:
        said = f"line {number} of {settings.AUDIT_ANCHORS} is no anchor"
        yield Offence(table="", pk="", said=said)
    anchors = iter(kept.anchors)
    while chunk := list(itertools.islice(anchors, _CHUNK)):
        rows = AuditEntry.objects.filter(pk__in=[each.entry for each in chunk])
        there = dict(rows.values_list("pk", "digest"))
        for each in chunk:
            if there.get(each.entry) != each.digest:
                said = f"is not there as it was at {each.at}: see `manage.py verify_audit`"
                yield Offence(table="projects.auditentry", pk=str(each.entry), said=said)


def _kept_anchors() -> anchoring.Kept:
    try:
        return anchoring.read(settings.AUDIT_ANCHORS)
    except FileNotFoundError as error:
        since = timezone.now() - _FIRST_ANCHOR
        if AuditEntry.objects.filter(at__lt=since).exists():
            raise NotChecked(f"There are no anchors at {settings.AUDIT_ANCHORS}.") from error
        return anchoring.Kept(anchors=(), unreadable=())
    except OSError as error:
        raise NotChecked(f"The anchors cannot be read: {error}.") from error


# Statement triggers guard against TRUNCATE, which a test database needs between tests.
_UNGUARDED = """
SELECT '' AS model, tgrelid::regclass::text AS id, 'the trigger ' || tgname || ' is switched off' AS said
FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'D' AND tgtype & 1 = 1 ORDER BY 2
"""

CHECKS = (
    Check(
        name="audit-chain",
        sentence="Every audit entry follows the one before it and says what its digest covers.",
        find=lambda: collect(_audit_chain()),
    ),
    Check(
        name="audit-anchors",
        sentence="Every audit entry that was anchored outside the database is there as it was.",
        find=lambda: collect(_anchored()),
    ),
    Check(
        name="append-only",
        sentence="No trigger that keeps facts from being changed is switched off.",
        find=lambda: sql(_UNGUARDED),
    ),
)
