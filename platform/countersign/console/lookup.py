"""Finds what a URL names, only among what the person may see; the rest is a plain 404."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.db.models import prefetch_related_objects
from django.http import Http404
from django.shortcuts import get_object_or_404

from agents.models import Task
from approvals.models import Approval

if TYPE_CHECKING:
    from countersign.console.requests import PersonRequest
    from projects.models import User

_NAMED = ("project", "policy", "requester", "decided_by")


def task_or_404(user: User, number: int) -> Task:
    """Return the task of this number."""
    tasks = Task.objects.visible_to(user).select_related("project", "requester")
    return get_object_or_404(tasks, number=number)


def approval_or_404(user: User, number: int, round_number: int) -> Approval:
    """Return the newest approval of a task's round."""
    approval = sealed_approval(user, number, round_number)
    if approval is None:
        raise Http404
    prefetch_related_objects([approval], *_NAMED)
    approval.task.project, approval.task.requester = approval.project, approval.requester
    return approval


def of_form(request: PersonRequest, newest: Approval) -> Approval:
    """Return the approval the form was drawn for; a newer one may exist meanwhile."""
    wanted = request.POST.get("approval", "")
    if wanted in {"", str(newest.pk)}:
        return newest
    try:
        key = uuid.UUID(wanted)
    except ValueError:
        raise Http404 from None
    rows = Approval.objects.visible_to(request.user).select_related(*_NAMED, "task", "proposal")
    return get_object_or_404(rows, task=newest.task_id, pk=key)


def sealed_approval(user: User, number: int, round_number: int) -> Approval | None:
    """Return the newest approval of a task's round, or None before it is sealed.

    Its project, policy and people are not read yet.
    """
    found = (
        Approval.objects.visible_to(user)
        .filter(task__number=number, proposal__round=round_number)
        .order_by("-proposal__version", "-id")
    )
    # Few joins: to plan eight takes the server twenty times as long as to follow them.
    rows = found.select_related("task", "proposal")
    return rows.defer("task__request", "proposal__report", "proposal__checks").first()
