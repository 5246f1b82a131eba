"""What people set of the console for themselves; each change is entered in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from projects import audit
from projects.models import User

if TYPE_CHECKING:
    from uuid import UUID


def choose_theme(*, by: User, theme: str, address: str | None = None) -> None:
    """Show the console in this theme; an empty one follows the device."""
    _set(by, "theme", theme, address)


def switch_single_keys(*, by: User, on: bool, address: str | None = None) -> None:
    """Let single keys act, or not."""
    _set(by, "single_keys", on, address)


@transaction.atomic
def _set(by: User, field: str, value: Any, address: str | None) -> None:
    """Enter only what changed: who presses twice did one thing."""
    key: UUID = by.pk
    others = User.objects.filter(pk=key).exclude(**{field: value})
    if others.update(**{field: value}):
        audit.record(f"user.{field}_set", subject=by, actor=by, address=address, now=value)
    setattr(by, field, value)
