"""Remembering a decision: a standing grant made together with the call a tech lead allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError

from approvals import policies, signing
from approvals.deadlines import database_now
from approvals.models import Remember, StandingGrant
from approvals.models.standing import LONGEST, MAX_HITS
from approvals.requirements import Required
from approvals.standing import patterns
from approvals.standing.patterns import FIELD, Pattern, Patterns
from projects import audit
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from approvals.models import CallApproval
    from projects.models import User

HOURS = 24
HITS = 10
MOST_HOURS = LONGEST // timedelta(hours=1)
MOST_OPEN = 100  # of one project; each call that is sealed is held against all of its tool
_BOUND = "at most 100 standing grants"  # what a trigger says that holds this


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody wants to let through besides the call they allow."""

    widened: Mapping[str, Pattern] = field(default_factory=dict)
    only_this_agent: bool = True
    hours: int = HOURS
    max_hits: int = HITS


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What would be let through, checked and written out."""

    patterns: Patterns
    only_this_agent: bool
    hours: int
    max_hits: int

    def told(self) -> dict[str, Any]:
        """Return it as the page shows it and names it: who agrees has seen this."""
        return {
            "patterns": patterns.written(self.patterns),
            "only_this_agent": self.only_this_agent,
            "hours": self.hours,
            "max_hits": self.max_hits,
        }


def why_none(approval: CallApproval, by: User) -> str:
    """Return why the policy lets this person make or use no standing grant for this call, or nothing.

    What one permission is not enough for, one person cannot let through beforehand. Nothing outside
    can be taken back by us. What is known of a tool is what its server declared and an admin pinned:
    that it only reads, or that a second call does the work once.
    """
    if Required.sealed(approval.snapshot).missing({by.pk}):
        return "The policy asks for more than your permission for this call, so it cannot be remembered."
    allowed = policies.read_active(approval.project).standing_grants
    if allowed == Remember.NONE:
        return (
            "The policy of this project lets no call through beforehand: each is decided by itself."
        )
    if allowed == Remember.ANY or is_repeatable(approval.snapshot):
        return ""
    return "Calls of this tool cannot be taken back, and the policy of this project asks for each of them."


def is_repeatable(snapshot: Mapping[str, Any]) -> bool:
    """Tell whether a sealed call is of a tool that only reads, or is idempotent."""
    return bool(snapshot["tool"]["read_only"] or snapshot["call"]["idempotent"])


def terms_of(approval: CallApproval, by: User, asked: Asked) -> Terms:
    """Return what would be let through; raises InvalidInput saying what is wrong with it."""
    if refusal := why_none(approval, by):
        raise InvalidInput(FIELD, refusal)
    return terms_in(approval, asked)


def terms_in(approval: CallApproval, asked: Asked) -> Terms:
    """Return what would be let through, where nothing stands against it; raises InvalidInput, too."""
    if not 1 <= asked.hours <= MOST_HOURS:
        raise InvalidInput(FIELD, f"Let it end within 1 to {MOST_HOURS} hours.")
    if not 1 <= asked.max_hits <= MAX_HITS:
        raise InvalidInput(FIELD, f"Let it be used 1 to {MAX_HITS:,} times.")
    return Terms(
        patterns=patterns.made_from(approval.original, asked.widened),
        only_this_agent=asked.only_this_agent,
        hours=asked.hours,
        max_hits=asked.max_hits,
    )


def make(
    approval: CallApproval, terms: Terms, *, by: User, address: str | None = None
) -> StandingGrant:
    """Write a grant in the transaction that allows the call it is made from, whose step is locked.

    Waits for others that are made in the project. Raises InvalidInput when it has too many in force,
    and CannotSign.
    """
    grant = _written(approval, terms, by)
    signing.mark_grant(grant)
    _save(grant)
    audit.record(
        "standing_grant.made",
        subject=grant,
        actor=by,
        project=approval.project,
        address=address,
        call=str(approval.pk),
        tool=f"{grant.server}: {grant.tool}",
        patterns=grant.patterns,
        agent=approval.step.agent.slug if terms.only_this_agent else "",
        expires_at=grant.expires_at.isoformat(),
        max_hits=grant.max_hits,
    )
    return grant


def _save(grant: StandingGrant) -> None:
    """Write it unless too many are in force: counted by the database, where two cannot count at once."""
    try:
        grant.save(force_insert=True)
    except IntegrityError as error:
        if _BOUND not in str(error):
            raise
        raise InvalidInput(
            FIELD, f"{MOST_OPEN} standing grants are in force here. Revoke one that is not needed."
        ) from error


def _written(approval: CallApproval, terms: Terms, by: User) -> StandingGrant:
    now = database_now()
    pin = pin_of(approval)
    return StandingGrant(
        project=approval.project,
        agent_id=approval.step.agent_id if terms.only_this_agent else None,
        server=pin["server"],
        tool=pin["tool"],
        pin=pin,
        patterns=patterns.written(terms.patterns),
        origin=approval,
        granted_by=by,
        at=now,
        expires_at=now + timedelta(hours=terms.hours),
        max_hits=terms.max_hits,
    )


def pin_of(approval: CallApproval) -> dict[str, Any]:
    """Return the tool as it was sealed: its server's address and the digest of its definition, too."""
    return dict(approval.snapshot["call"])
