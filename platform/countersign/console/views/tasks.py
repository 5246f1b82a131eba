"""The list of tasks."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.db.models import Prefetch
from django.views.decorators.http import require_GET

from agents.lifecycle import TASK_TERMINAL, TaskState
from agents.models import Step, Task
from countersign.console import examples, held
from countersign.console.rendering import COUNT_AT_MOST, page
from countersign.console.sentences import task_row
from projects.models import Project

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest

_AT_ONCE = 30
_FOR_PEOPLE = (TaskState.REVIEW, TaskState.NEEDS_HUMAN)
TABS = {"active": "Active", "sign-off": "Waits for sign-off", "done": "Done"}


@login_required
@require_GET
def task_list(request: PersonRequest) -> HttpResponse:
    """Show the tasks of a tab, newest first, from a keyset cursor on."""
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "active"
    projects = Project.objects.visible_to(request.user)
    chosen = next((row for row in projects if row.slug == request.GET.get("project")), None)
    tasks = Task.objects.visible_to(request.user)
    if chosen:
        tasks = tasks.filter(project=chosen)
    if request.GET.get("mine"):
        tasks = tasks.filter(requester=request.user)
    after = request.GET.get("after")
    waiting = _slice(tasks.filter(state__in=_FOR_PEOPLE), None) if tab == "active" else ([], "")
    rows, following = _slice(_of_tab(tasks, tab), after)
    counts = _counts(tasks)
    context = {
        "here": "tasks",
        "tab": tab,
        "tabs": [(key, word, tab == key, counts.get(key)) for key, word in TABS.items()],
        "waiting": [] if after else waiting[0],
        "more_waiting": bool(waiting[1]),
        "rows": rows,
        "following": following,
        "projects": projects,
        "chosen": chosen,
        "mine": bool(request.GET.get("mine")),
        "examples": examples.for_project(chosen or projects.first()),
    }
    more = request.htmx and request.GET.get("after")
    return page(request, "tasks/_rows.html" if more else "tasks/tasks.html", context)


def _of_tab(tasks: QuerySet[Task], tab: str) -> QuerySet[Task]:
    if tab == "done":
        return tasks.filter(state__in=TASK_TERMINAL)
    if tab == "sign-off":
        return tasks.filter(state=TaskState.REVIEW)
    return tasks.exclude(state__in=[*TASK_TERMINAL, *_FOR_PEOPLE])


def _counts(tasks: QuerySet[Task]) -> dict[str, int]:
    """Count the open tasks, and those of them that wait for a signature; "active" is all open."""
    states = tasks.exclude(state__in=TASK_TERMINAL).order_by()
    found = list(states.values_list("state", flat=True)[:COUNT_AT_MOST])
    return {"active": len(found), "sign-off": found.count(TaskState.REVIEW)}


def _slice(tasks: QuerySet[Task], after: str | None) -> tuple[list[object], str]:
    if after:
        try:
            tasks = tasks.filter(id__lt=uuid.UUID(after))
        except ValueError:
            tasks = tasks.none()
    steps = Prefetch("steps", Step.objects.select_related("agent").order_by("id"))
    found = list(
        tasks.select_related("project", "requester")
        .prefetch_related(steps)
        .order_by("-id")[: _AT_ONCE + 1]
    )
    following = str(found[_AT_ONCE - 1].pk) if len(found) > _AT_ONCE else ""
    pauses = held.over_each(found)
    return [task_row(task, pauses.get(task.pk)) for task in found[:_AT_ONCE]], following
