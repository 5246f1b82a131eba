"""Absolute links to what belongs to a task or an approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import NoReverseMatch, reverse

if TYPE_CHECKING:
    import uuid

    from rest_framework.request import Request

    from agents.models import Task
    from approvals.models import Approval


def of_task(task: Task, request: Request) -> dict[str, str]:
    """Return the links every answer about a task carries."""
    return under(request.build_absolute_uri("/")[:-1], task.pk, task.number)


def under(origin: str, task_id: uuid.UUID | str, number: int) -> dict[str, str]:
    """Return the links of a task under a scheme and host; they are fixed by the public contract."""
    self_url = f"{origin}/api/v1/tasks/{task_id}"
    scheme, _, host = origin.partition("://")
    return {
        "self": self_url,
        "events": f"{self_url}/events",
        "stream": f"{self_url}/stream",
        "websocket": f"{'wss' if scheme == 'https' else 'ws'}://{host}/ws/tasks/{task_id}",
        "console": f"{origin}/tasks/T-{number}",
    }


def of_approval(approval: Approval, request: Request) -> dict[str, str]:
    """Return the links of an approval."""
    self_url = request.build_absolute_uri(reverse("api:approval", args=[approval.pk]))
    label, number = approval.task.label, approval.proposal.round
    return {
        "self": self_url,
        "task": request.build_absolute_uri(reverse("api:task", args=[approval.task_id])),
        "signatures": f"{self_url}/signatures",
        "console": _console(
            request, f"/review/{label}/r{number}", "console:review", approval.task.number, number
        ),
    }


def _console(request: Request, fallback: str, name: str, *keys: int) -> str:
    try:
        path = reverse(name, args=keys)
    except NoReverseMatch:
        path = fallback  # an edge without console pages; another process serves them
    return request.build_absolute_uri(path)
