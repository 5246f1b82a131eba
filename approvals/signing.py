"""Marks decisions with a key that only the web is given, and proves the marks of others.

A row of a signature can be written by whoever can write to the database; its mark cannot. The public
halves are settings, not rows, for the same reason.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from django.conf import settings

from approvals import origins
from approvals.canonical import canonical
from approvals.deadlines import database_now
from approvals.exceptions import CannotSign
from projects import audit, signing_keys

if TYPE_CHECKING:
    from approvals.models import Delegation, StandingGrant
    from approvals.origins import Marked


def require_key() -> None:
    """Raise CannotSign in a process that may not sign, or whose key is none."""
    if not settings.SIGNING_KEY:
        raise CannotSign
    try:
        signing_keys.private_key(settings.SIGNING_KEY)
    except ValueError as error:
        raise CannotSign(f"{error} Nothing was signed.") from error


def mark(signature: Marked) -> None:
    """Write the mark of what an unsaved signature says into it, and when; raises CannotSign."""
    require_key()
    signature.at = database_now()
    signature.key = signing_keys.name_of(signing_keys.public_half(settings.SIGNING_KEY))
    signature.mark = signing_keys.sign(settings.SIGNING_KEY, statement(signature))


def mark_delegation(delegation: Delegation) -> None:
    """Write the mark of what an unsaved delegation says into it; raises CannotSign."""
    require_key()
    delegation.key = signing_keys.name_of(signing_keys.public_half(settings.SIGNING_KEY))
    delegation.mark = signing_keys.sign(settings.SIGNING_KEY, statement_of(delegation))


def mark_grant(grant: StandingGrant) -> None:
    """Write the mark of what an unsaved standing grant lets through into it; raises CannotSign."""
    require_key()
    grant.key = signing_keys.name_of(signing_keys.public_half(settings.SIGNING_KEY))
    grant.mark = signing_keys.sign(settings.SIGNING_KEY, statement_of_grant(grant))


def is_known(marked: Marked | Delegation | StandingGrant) -> bool:
    """Tell whether the key it names is one of those this process knows."""
    return marked.key in _known()


def is_genuine(signature: Marked) -> bool:
    """Tell whether a stored signature says what was marked, with a key that is known here.

    Of a copy: whether it says what the original does, whose mark is proven.
    """
    original = origins.given(signature)
    return original is not None and is_marked(original)


def is_marked(original: Marked) -> bool:
    """Tell the same of a signature that is no copy."""
    return _is_genuine(original, statement(original))


def is_genuine_delegation(delegation: Delegation) -> bool:
    """Tell whether a stored delegation says what was marked, with a key that is known here."""
    return _is_genuine(delegation, statement_of(delegation))


def is_genuine_grant(grant: StandingGrant) -> bool:
    """Tell whether a stored grant lets through what was marked, with a key that is known here."""
    return _is_genuine(grant, statement_of_grant(grant))


def _is_genuine(marked: Marked | Delegation | StandingGrant, said: bytes) -> bool:
    public = _known().get(marked.key)
    return public is not None and signing_keys.is_genuine(public, marked.mark, said)


def _known() -> dict[str, str]:
    """Return the public keys by name; a process that signs knows its own in any case."""
    own = [signing_keys.public_half(settings.SIGNING_KEY)] if settings.SIGNING_KEY else []
    return {signing_keys.name_of(each): each for each in (*settings.SIGNING_PUBLIC_KEYS, *own)}


def statement(signature: Marked) -> bytes:
    """Return what a mark covers: who decided what, of which sealed bytes."""
    return canonical(
        {
            **_kind(signature),
            "key": signature.key,
            "signature": str(signature.pk),
            "approval": str(signature.approval_id),
            "digest": signature.digest,
            "nonce": signature.nonce,
            "verdict": str(signature.verdict),
            "note": signature.note,
            "signer": str(signature.signer_id),
            "requester": str(signature.requester_id),
            "single_person": signature.single_person,
            "address": audit.plain(signature.address),
            "at": signature.at.astimezone(UTC).isoformat(),
        }
    )


def _kind(signature: Marked) -> dict[str, Any]:
    """Say what was decided: the mark of a call is none of a proposal."""
    # Only where it is so: signatures from before there were such marks say nothing of it.
    stood = {"on_behalf_of": signature.on_behalf_of} if signature.on_behalf_of else {}
    if not hasattr(signature, "every_file_viewed"):
        return {"says": "countersign.call.1", **stood}
    viewed = {"every_file_viewed": True} if signature.every_file_viewed else {}
    return {"says": "countersign.signature.1", **viewed, **stood}


def statement_of(delegation: Delegation) -> bytes:
    """Return what the mark of a delegation covers: who lets whom sign for them, where and when."""
    absence = delegation.absence
    return canonical(
        {
            "says": "countersign.delegation.1",
            "key": delegation.key,
            "delegation": str(delegation.pk),
            "absence": str(absence.pk),
            "project": str(delegation.project_id),
            "person": str(delegation.person_id),
            "delegate": str(delegation.delegate_id),
            "begins_at": absence.begins_at.astimezone(UTC).isoformat(),
            "ends_at": absence.ends_at.astimezone(UTC).isoformat(),
            "at": absence.at.astimezone(UTC).isoformat(),
        }
    )


def statement_of_grant(grant: StandingGrant) -> bytes:
    """Return what the mark of a standing grant covers: all that it lets through, where and until when."""
    return canonical(
        {
            "says": "countersign.standing_grant.1",
            "key": grant.key,
            "grant": str(grant.pk),
            "project": str(grant.project_id),
            "agent": str(grant.agent_id or ""),
            "server": grant.server,
            "tool": grant.tool,
            "pin": grant.pin,
            "patterns": grant.patterns,
            "origin": str(grant.origin_id),
            "granted_by": str(grant.granted_by_id),
            "at": grant.at.astimezone(UTC).isoformat(),
            "expires_at": grant.expires_at.astimezone(UTC).isoformat(),
            "max_hits": grant.max_hits,
        }
    )
