"""Absolute links to what belongs to a task or an approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import NoReverseMatch, reverse

if TYPE_CHECKING:
    from rest_framework.request import Request

    from agents.models import Task
    from approvals.models import Approval


def of_task(task: Task, request: Request) -> dict[str, str]:
    """Return the links every answer about a task carries."""
    self_url = request.build_absolute_uri(reverse("api:task", args=[task.pk]))
    scheme, _, rest = request.build_absolute_uri(f"/ws/tasks/{task.pk}").partition("://")
    return {
        "self": self_url,
        "events": f"{self_url}/events",
        "stream": f"{self_url}/stream",
        "websocket": f"{'wss' if scheme == 'https' else 'ws'}://{rest}",
        "console": _console(request, f"/tasks/{task.label}", "console:task", task.number),
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
