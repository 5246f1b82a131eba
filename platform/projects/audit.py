"""Writes the audit log: append-only rows chained by SHA-256."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from projects import transitions
from projects.inserting import insert_all
from projects.models import AuditEntry
from projects.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projects.models import Project, User

GENESIS = "0" * 64
DEMO_RESET = "demo.reset"  # main of the bundled repository was set back: what was merged is gone
LOCK = 0x0C5A0D17  # one writer of the chain at a time


@dataclass(frozen=True, kw_only=True)
class Act:
    """One act to be entered."""

    action: str
    subject: Any
    actor: User | None
    project: Project | None = None
    address: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def record(
    action: str,
    *,
    subject: Any,
    actor: User | None,
    project: Project | None = None,
    address: str | None = None,
    **detail: Any,
) -> AuditEntry:
    """Append one entry, as `record_all` does."""
    act = Act(
        action=action,
        subject=subject,
        actor=actor,
        project=project,
        address=address,
        detail=detail,
    )
    return record_all([act])[0]


def record_all(acts: Sequence[Act]) -> list[AuditEntry]:
    """Append entries in this order, in the caller's transaction.

    Locks the chain until the transaction ends, so call it last.
    """
    with transitions.together():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        last = next(iter(_LAST()), GENESIS)
        entries: list[AuditEntry] = []
        for act in acts:
            entries.append(_entry(act, entries[-1].digest if entries else last))
        return insert_all(entries)


_LAST = Prepared(lambda: AuditEntry.objects.order_by("-id").values_list("digest", flat=True)[:1])


def _entry(act: Act, previous: str) -> AuditEntry:
    entry = AuditEntry(
        at=timezone.now(),
        actor=act.actor,
        actor_label=act.actor.username if act.actor else "system",
        address=_plain(act.address),
        project=act.project,
        action=act.action,
        object_type=act.subject._meta.model_name,
        object_id=str(act.subject.pk),
        detail=act.detail,
        previous_digest=previous,
    )
    entry.digest = digest_of(entry)
    return entry


def _plain(address: str | None) -> str | None:
    """Return the address as the database gives it back, or nothing for what is none."""
    try:
        plain = str(ip_address((address or "").partition("%")[0]))
    except ValueError:  # a socket's path, a test client's name
        return None
    field = AuditEntry._meta.get_field("address")
    stored: str = field.to_python(plain)
    return stored


def digest_of(entry: AuditEntry) -> str:
    """Return the digest an entry must carry: over its facts and the digest before it."""
    facts = [
        entry.previous_digest,
        entry.at.isoformat(),
        entry.actor_label,
        entry.address,
        str(entry.project_id or ""),
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.detail,
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
