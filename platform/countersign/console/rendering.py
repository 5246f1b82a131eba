"""Renders a page inside the shell: navigation, counters, what runs now."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject

from agents.lifecycle import TASK_OPEN, TaskState
from agents.models import Hold, HoldScope, Task
from approvals import saving, selectors
from approvals.models import Absence
from countersign.console import held, just_decided
from notices import bell
from projects import across, together
from projects.across import Across, Mine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from projects.across import Statement
    from projects.models import User

_RUNNING = (TaskState.QUEUED, TaskState.PLANNING, TaskState.WORKING, TaskState.ASSEMBLING)
COUNT_AT_MOST = 500  # an exact count of a large inbox costs more than it tells


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page, or a live answer, with what every page shows; it is read only when used."""
    shell: dict[str, Any] = {}
    if request.user.is_authenticated:
        shell["just_decided"] = just_decided.of(request)
        shell["shell"] = SimpleLazyObject(
            lambda: shell_of(request.user, mine_of(request))[0]  # type: ignore[arg-type]
        )
    return render(request, template, {**shell, **context}, status=status)


def mine_of(request: HttpRequest) -> Mine:
    """Return the projects of the person who asks, read once for a request."""
    found: Mine | None = getattr(request, "mine", None)
    if found is None:
        found = request.mine = Mine.of(request.user)  # type: ignore[attr-defined,arg-type]
    return found


def capped(count: int) -> str:
    """Say a count that ends at the cap."""
    return f"{count:,}+" if count >= COUNT_AT_MOST else f"{count:,}"


def shell_of(
    user: User, mine: Mine, also: Mapping[str, Statement] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the navigation shows this person, and what else was to be counted with it."""
    asked = selectors.asked_of(user, mine, COUNT_AT_MOST)
    away = across.counted(Absence.objects.now().filter(person=user), 1)
    told = {
        "asked": asked,
        "open": _open(mine),
        "away": away,
        "unread": bell.unread(user, mine.projects, COUNT_AT_MOST),
        "views": saving.of(user),
    }
    numbers = {**told, **(also or {})}
    found = together.read(held.to_tell(user, mine), numbers)
    counts = {name: found.number(name) for name in numbers}
    inbox, holds = counts["asked"], held.banners(found, user, mine)
    shell = {
        "inbox": inbox,
        "inbox_word": _pill(inbox),
        "tasks": counts["open"],
        "tasks_word": _pill(counts["open"]),
        "unread": counts["unread"],
        "unread_word": _pill(counts["unread"]),
        "running": _running(mine, [row.hold for row in holds]),
        "rehearsal": settings.COUNTERSIGN_MODEL == "rehearsal",
        "is_lead": bool(mine.led),
        "views": counts["views"],
        "has_project": bool(mine.projects),
        "holds": holds,
        "away": bool(counts["away"]),
    }
    return shell, counts


def _pill(count: int) -> str:
    return f"{COUNT_AT_MOST - 1}+" if count >= COUNT_AT_MOST else str(count)


@lru_cache(maxsize=across.PERSONS)
def _open(mine: Mine) -> Statement:
    rows = Across(rows=Task.objects.all(), projects=mine.projects, states=OPEN)
    return rows.counted(COUNT_AT_MOST)


def _running(mine: Mine, holds: Sequence[Hold]) -> list[Task]:
    """Return the newest tasks agents are at; those of a project that is held are not looked at."""
    stopped = {hold.project_id for hold in holds}
    if any(hold.scope == HoldScope.EVERYTHING for hold in holds):
        return []
    going_on = _at_work(tuple(project for project in mine.projects if project not in stopped))
    return going_on.first(_named, ["-id"], _SHOWN)


@lru_cache(maxsize=across.PERSONS)
def _at_work(projects: tuple[UUID, ...]) -> Across:
    paused = Hold.objects.open().filter(task=OuterRef("pk"))
    return Across(rows=Task.objects.filter(~Exists(paused)), projects=projects, states=_RUNNING)


def _named(tasks: QuerySet[Task]) -> QuerySet[Task]:
    return tasks.only("number", "title")


_SHOWN = 5
OPEN = tuple(sorted(TASK_OPEN))
