"""What is under a person's bell, and marking it as read."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from notices.models import Notification
from projects import across, audit, keyset
from projects.across import Across
from projects.keyset import Order

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from projects.across import Statement
    from projects.keyset import Page, Place
    from projects.models import User

ROWS = 30
NEWEST = Order()
_LONG = ("notice__task__request", "notice__task__context")


def lines(person: uuid.UUID, projects: Sequence[uuid.UUID], *, unread: bool = False) -> Across:
    """Return the lines of one person in these projects: those of one they left are not among them."""
    rows = Notification.objects.filter(person=person)
    return Across(rows=rows.filter(read_at=None) if unread else rows, projects=tuple(projects))


def unread(person: User, projects: Sequence[uuid.UUID], cap: int) -> Statement:
    """Return the statement that counts what is not read, up to `cap`."""
    return _unread(person.pk, tuple(projects), cap)


@lru_cache(maxsize=across.PERSONS)
def _unread(person: uuid.UUID, projects: tuple[uuid.UUID, ...], cap: int) -> Statement:
    return lines(person, projects, unread=True).counted(cap)


def loaded(rows: QuerySet[Notification]) -> QuerySet[Notification]:
    """Load with a line what it says and leads to."""
    return rows.select_related("project", "notice__task").defer(*_LONG)


def page(listed: Across, place: Place | None) -> Page[Notification]:
    """Return one page of lines, newest first."""
    return keyset.page(listed, loaded, order=NEWEST, place=place, limit=ROWS)


@transaction.atomic
def mark_read(
    by: User,
    projects: Sequence[uuid.UUID],
    keys: Sequence[uuid.UUID] | None,
    *,
    address: str | None = None,
) -> int:
    """Mark some of a person's lines as read, or all of these projects; return how many were not.

    Twice: nothing happens. Keys of others' lines are not found.
    """
    rows = Notification.objects.filter(person=by, project__in=list(projects), read_at=None)
    if keys is not None:
        rows = rows.filter(pk__in=list(keys))
    count = rows.update(read_at=Now())
    if count:
        audit.record("notifications.read", subject=by, actor=by, address=address, count=count)
    return count
