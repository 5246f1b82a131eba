"""Writes the audit log: append-only rows chained by SHA-256."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from projects.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from projects.models import Project, User

GENESIS = "0" * 64
DEMO_RESET = "demo.reset"  # main of the bundled repository was set back: what was merged is gone
LOCK = 0x0C5A0D17  # one writer of the chain at a time; `audit_append` takes it


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
    """Append entries in this order, in one statement of the caller's transaction.

    Locks the chain until the transaction ends, so call it last.
    """
    entries = [_entry(act) for act in acts]
    told = [_told(entry) for entry in entries]
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, [json.dumps(told) if told else None])
        for entry, chained in zip(entries, cursor.fetchall(), strict=True):
            entry.pk, entry.previous_digest, entry.digest = chained
            entry._state.adding, entry._state.db = False, connection.alias
    return entries


_APPEND = "SELECT entry, before, after FROM audit_append(%s::json)"


def outline(*, at: datetime, actor: str, project: UUID, address: str | None, action: str) -> str:
    """Return the facts of an entry up to its subject, for a statement that adds subject and detail
    and ends by `audit_append`."""
    facts = [at.isoformat(), actor, address, str(project), action]
    return json.dumps(facts).removesuffix("]") + ", "


def _entry(act: Act) -> AuditEntry:
    return AuditEntry(
        at=timezone.now(),
        actor=act.actor,
        actor_label=act.actor.username if act.actor else "system",
        address=plain(act.address),
        project=act.project,
        action=act.action,
        object_type=act.subject._meta.model_name,
        object_id=str(act.subject.pk),
        detail=_kept(act.detail),
    )


def _kept(detail: dict[str, Any]) -> dict[str, Any]:
    """Return the detail as PostgreSQL gives it back: what it reads differently breaks the digest."""
    kept: dict[str, Any] = json.loads(json.dumps(detail, allow_nan=False), parse_float=_number_kept)
    return kept


def _number_kept(text: str) -> int | float:
    """Return a number as `jsonb` keeps it: 1e22 without an exponent, a whole number, and no -0.0."""
    kept: int | float = json.loads(format(Decimal(text), "f"))
    return kept or kept + 0


def _told(entry: AuditEntry) -> dict[str, Any]:
    """Return the entry as `audit_append` takes it."""
    return {
        "at": entry.at.isoformat(),
        "actor": str(entry.actor_id) if entry.actor_id else None,
        "label": entry.actor_label,
        "address": entry.address,
        "project": str(entry.project_id) if entry.project_id else None,
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "detail": entry.detail,
        "facts": json.dumps(_facts(entry), sort_keys=True),
    }


@lru_cache(maxsize=1_024)
def plain(address: str | None) -> str | None:
    """Return the address as the database gives it back, or nothing for what is none."""
    try:
        plain = str(ip_address((address or "").partition("%")[0]))
    except ValueError:  # a socket's path, a test client's name
        return None
    field = AuditEntry._meta.get_field("address")
    stored: str = field.to_python(plain)
    return stored


def digest_of(entry: AuditEntry) -> str:
    """Return the digest an entry must carry: over the digest before it and its facts."""
    facts = [entry.previous_digest, *_facts(entry)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _facts(entry: AuditEntry) -> list[Any]:
    return [
        entry.at.isoformat(),
        entry.actor_label,
        plain(entry.address),  # PostgreSQL writes ::1:2 as ::0.1.0.2
        str(entry.project_id or ""),
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.detail,
    ]
