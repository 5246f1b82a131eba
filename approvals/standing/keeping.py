"""The invariant of standing grants: no more uses than allowed, and none the grant does not let through."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models.fields.json import KeyTextTransform

from agents.invariants.bounds import HOLD_SECONDS
from approvals import signing
from approvals.models import StandingUse
from approvals.standing import patterns
from projects.invariants import Check, NotChecked, Offence, collect, sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from approvals.models import StandingGrant

_CHUNK = 200

_USED = """
SELECT 'approvals.standinggrant', kept.id::text, format('has %%s uses, counts %%s and allows %%s', uses.n, kept.hits,
    kept.max_hits)
FROM approvals_standinggrant kept
CROSS JOIN LATERAL (SELECT count(*) AS n FROM approvals_standinguse one WHERE one.grant_id = kept.id) uses
WHERE uses.n > kept.max_hits OR uses.n <> kept.hits
UNION ALL
SELECT 'approvals.callapproval', call.id::text, 'was let through by a standing grant that does not fit it'
FROM approvals_standinguse one
JOIN approvals_standinggrant kept ON kept.id = one.grant_id
JOIN approvals_callapproval call ON call.id = one.approval_id
JOIN agents_step step ON step.id = call.step_id
WHERE call.project_id <> kept.project_id OR call.decided_by_id IS DISTINCT FROM kept.granted_by_id
   OR call.snapshot -> 'call' <> kept.pin OR step.agent_id <> coalesce(kept.agent_id, step.agent_id)
   OR call.edited <> '' OR (call.requester_id = kept.granted_by_id AND NOT call.single_person)
   OR one.number > kept.max_hits OR one.at < kept.at OR one.at >= kept.expires_at OR one.at > kept.revoked_at
   OR call.sent_at > least(kept.expires_at, kept.revoked_at) + %(grace)s * interval '1 second'
"""


def _unlike() -> Iterator[Offence]:
    """Prove the mark of every grant that was used, and hold each call against it."""
    if not settings.SIGNING_PUBLIC_KEYS:
        raise NotChecked("No public key of the console is known here.")
    rows = StandingUse.objects.select_related("grant").order_by("grant", "number")
    given = KeyTextTransform("arguments", "approval__snapshot")
    used: Any = rows.annotate(given=given).iterator(chunk_size=_CHUNK)
    known: dict[object, str] = {}
    for use in used:
        if use.grant_id not in known:
            known[use.grant_id] = _forged(use.grant)
            if said := known[use.grant_id]:
                yield Offence(table="approvals.standinggrant", pk=str(use.grant_id), said=said)
        if not known[use.grant_id] and not _fits(use.grant, use.given):
            said = "was let through by a standing grant for other arguments"
            yield Offence(table="approvals.callapproval", pk=str(use.approval_id), said=said)


def _forged(grant: StandingGrant) -> str:
    return (
        "" if signing.is_genuine_grant(grant) else "does not carry the mark of a key of the console"
    )


def _fits(grant: StandingGrant, given: str) -> bool:
    return patterns.fit(patterns.read(grant.patterns), json.loads(given))


CHECKS = (
    Check(
        name="grant-counted",
        sentence="No standing grant let more through than it says, nor anything it is not for.",
        find=lambda: sql(_USED, {"grace": HOLD_SECONDS}),
    ),
    Check(
        name="grant-genuine",
        sentence="Every standing grant that was used was made by the console, and each call fits it.",
        find=lambda: collect(_unlike()),
    ),
)
