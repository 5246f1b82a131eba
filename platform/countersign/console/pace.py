"""The line that says how quickly a person decides, where they decide, and how they put it away."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from approvals import pacing

if TYPE_CHECKING:
    from django.http import HttpRequest

    from approvals.pacing import Pace

_PUT_AWAY = "pace_put_away"  # in the session: when


def shown(request: HttpRequest, found: list[Any]) -> Pace:
    """Return the pace of what `pacing.latest` read; nothing is hurried that was told and put away."""
    at = request.session.get(_PUT_AWAY)
    return pacing.pace_of(found, told_at=datetime.fromisoformat(at) if at else None)


def put_away(request: HttpRequest) -> None:
    """Say nothing more of the approvals so far."""
    request.session[_PUT_AWAY] = timezone.now().isoformat()
