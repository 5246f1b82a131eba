"""The list of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_GET

from agents.lifecycle import TASK_TERMINAL, TaskState
from agents.models import Task
from approvals.selectors import WITH_AGENTS
from countersign.console import examples
from countersign.console.rendering import COUNT_AT_MOST, OPEN, capped, page, shell_of
from countersign.console.sentences import task_rows
from projects import keyset
from projects.across import Across, memberships
from projects.keyset import Order, Place
from projects.models import Project

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest
    from projects.models import User

_AT_ONCE = 30
_FOR_PEOPLE = (TaskState.NEEDS_HUMAN, TaskState.REVIEW)
_LONG = ("request", "context", "requested_agents", "limits")  # no list shows them
_NEWEST = Order()
TABS = {"active": "Active", "sign-off": "Waits for sign-off", "done": "Done"}
_STATES: dict[str, tuple[str, ...]] = {
    "active": WITH_AGENTS,
    "sign-off": (TaskState.REVIEW,),
    "done": tuple(sorted(TASK_TERMINAL)),
}


@login_required
@require_GET
def task_list(request: PersonRequest) -> HttpResponse:
    """Show the tasks of a tab, newest first, from a place in the list on."""
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "active"
    projects = list(Project.objects.visible_to(request.user))
    chosen = next((row for row in projects if row.slug == request.GET.get("project")), None)
    mine = bool(request.GET.get("mine"))
    place = Place.of(_NEWEST, request.GET)
    shell, counts = shell_of(
        request.user,
        {
            tab: _listed(request.user, chosen, states, mine=mine).counted(COUNT_AT_MOST)
            for tab, states in (("active", OPEN), ("sign-off", _STATES["sign-off"]))
        },
    )
    listed = _slice(request.user, _listed(request.user, chosen, _STATES[tab], mine=mine), place)
    waiting: keyset.Page[Task] = keyset.Page(rows=[])
    if tab == "active" and place is None:
        waiting = _slice(
            request.user, _listed(request.user, chosen, _FOR_PEOPLE, mine=mine), None
        )
    shown = task_rows([*waiting.rows, *listed.rows])
    kept = {"project": chosen.slug if chosen else "", "mine": "1" if mine else ""}
    context = {
        "here": "tasks",
        "shell": shell,
        "tab": tab,
        "tabs": [
            (key, word, tab == key, capped(counts[key]) if counts.get(key) else "")
            for key, word in TABS.items()
        ],
        "waiting": shown[: len(waiting.rows)],
        "more_waiting": bool(waiting.after),
        "rows": shown[len(waiting.rows) :],
        "listed": listed,
        "address": urlencode({"tab": tab, **{key: kept[key] for key in kept if kept[key]}}),
        "projects": projects,
        "chosen": chosen,
        "mine": mine,
        "examples": examples.for_project(chosen or next(iter(projects), None)),
    }
    more = request.htmx and request.GET.get("after")
    return page(request, "tasks/_rows.html" if more else "tasks/tasks.html", context)


def _listed(user: User, chosen: Project | None, states: tuple[str, ...], *, mine: bool) -> Across:
    members = memberships(user)
    return Across(
        rows=Task.objects.filter(requester=user) if mine else Task.objects.all(),
        members=members.filter(project=chosen) if chosen else members,
        states=states,
    )


def _slice(user: User, listed: Across, place: Place | None) -> keyset.Page[Task]:
    def read(tasks: QuerySet[Any]) -> QuerySet[Any]:
        seen = tasks.visible_to(user)  # type: ignore[attr-defined]
        return seen.select_related("project", "requester").defer(*_LONG)  # type: ignore[no-any-return]

    return keyset.page(listed, read, order=_NEWEST, place=place, limit=_AT_ONCE)
