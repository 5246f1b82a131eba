"""Renders a page inside the shell: navigation, counters, what runs now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject

from agents import holds
from agents.lifecycle import TaskState
from agents.models import Task
from approvals import selectors
from countersign.console import held
from projects.models import Membership, Role

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from projects.models import User

_RUNNING = [TaskState.QUEUED, TaskState.PLANNING, TaskState.WORKING, TaskState.ASSEMBLING]
COUNT_AT_MOST = 100  # an exact count of a large inbox costs more than it tells


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page, or a live answer, with what every page shows; it is read only when used."""
    shell = {}
    if request.user.is_authenticated:
        shell["shell"] = SimpleLazyObject(partial(shell_of, request.user))
    return render(request, template, {**shell, **context}, status=status)


def _running(user: User) -> QuerySet[Task]:
    held = holds.is_held(task="pk", project="project_id")
    return Task.objects.visible_to(user).filter(~held, state__in=_RUNNING)


def shell_of(user: User) -> dict[str, Any]:
    """Return what the navigation shows this person."""
    inbox = selectors.count_needs_you(user, cap=COUNT_AT_MOST)
    roles = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    return {
        "inbox": inbox,
        "inbox_word": "99+" if inbox >= COUNT_AT_MOST else str(inbox),
        "tasks": Task.objects.visible_to(user).open()[:COUNT_AT_MOST].count(),
        "running": _running(user).order_by("-id")[:5],
        "rehearsal": settings.COUNTERSIGN_MODEL == "rehearsal",
        "is_lead": Role.LEAD in roles,
        "has_project": bool(roles),
        "holds": held.banners(user),
    }
