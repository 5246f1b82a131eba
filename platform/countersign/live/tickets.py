"""Tickets: signed for a minute, so that a storm of reconnecting pages asks no session and no row.

A ticket says that what was shown beside it, a session or a bearer token, was checked for one task.
It is worth nothing without it: the cookie stays out of reach of scripts. Whoever comes in by one is
checked with all others a few seconds later.
"""

from __future__ import annotations

import uuid

from django.core import signing

from countersign.live.identity import Shown, Viewer

SECONDS = 60
_SALT = "countersign.live.ticket"
_NONE = "-"


def make(viewer: Viewer, task_id: uuid.UUID) -> str:
    """Return a ticket for what the viewer was shown to be allowed just now."""
    parts = [task_id.hex, viewer.user.hex, _hex(viewer.token), _hex(viewer.project)]
    parts.append(viewer.credential.hex())
    return _signer().sign(".".join(parts))


def make_for_page(session_key: str, user_id: uuid.UUID, task_id: uuid.UUID) -> str:
    """Return the ticket that a page of a task carries."""
    shown = Shown(session_key=session_key)
    viewer = Viewer(user=user_id, session_key=session_key, credential=shown.digest)
    return make(viewer, task_id)


def read(ticket: str, shown: Shown, task_id: uuid.UUID) -> Viewer | None:
    """Return the viewer, None for a ticket that is old, forged or somebody else's."""
    try:
        parts = _signer().unsign(ticket, max_age=SECONDS).split(".")
        task, user, token, only, credential = parts
    except (signing.BadSignature, ValueError):
        return None
    if task != task_id.hex or credential != shown.digest.hex():
        return None
    return Viewer(
        user=uuid.UUID(user),
        session_key=shown.session_key,
        token=_id(token),
        project=_id(only),
        credential=shown.digest,
    )


def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=_SALT)


def _hex(one: uuid.UUID | None) -> str:
    return one.hex if one else _NONE


def _id(text: str) -> uuid.UUID | None:
    return None if text == _NONE else uuid.UUID(text)
