"""API tokens: made once in clear, kept as a digest, checked in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from projects.models import ApiToken

if TYPE_CHECKING:
    from projects.models import Project, User

SCOPES = (
    *("tasks:read", "tasks:write", "approvals:read", "memory:read", "memory:write"),
    *("notifications:read", "notifications:write"),
)


def issue(
    user: User,
    *,
    name: str,
    scopes: tuple[str, ...] = SCOPES,
    days: int = 90,
    project: Project | None = None,
) -> tuple[ApiToken, str]:
    """Make a token and return it with its text, which is shown this once and not kept."""
    key, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        scopes=list(scopes),
        project=project,
        key=key,
        digest=_digest(secret),
        expires_at=timezone.now() + timedelta(days=days),
    )
    return token, f"cs_{key}_{secret}"


def find(text: str) -> ApiToken | None:
    """Return the live token for a bearer text, or None; marks it used (to the minute)."""
    prefix, _, rest = text.partition("_")
    key, _, secret = rest.partition("_")
    if prefix != "cs" or not secret:
        return None
    token = (
        ApiToken.objects.select_related("user", "project")
        .filter(key=key, revoked_at=None, expires_at__gt=Now(), user__is_active=True)
        .first()
    )
    if token is None or not hmac.compare_digest(token.digest, _digest(secret)):
        return None
    _mark_used(token)
    return token


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _mark_used(token: ApiToken) -> None:
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    ApiToken.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=a_minute_ago), pk=token.pk
    ).update(last_used_at=Now())
