"""The list of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_GET

from agents.lifecycle import TASK_TERMINAL, TaskState
from agents.models import Task
from approvals.filters import WITH_AGENTS
from countersign.console import examples
from countersign.console.rendering import COUNT_AT_MOST, OPEN, capped, mine_of, page, shell_of
from countersign.console.sentences import LONG, task_rows
from projects import keyset
from projects.across import Across
from projects.keyset import Order, Place

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest

_AT_ONCE = 30
_FOR_PEOPLE = (TaskState.NEEDS_HUMAN, TaskState.REVIEW)
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
    own = bool(request.GET.get("mine"))
    mine = mine_of(request)
    chosen = next((row for row in mine.named if row.slug == request.GET.get("project")), None)
    place = Place.of(_NEWEST, request.GET)

    def listed_in(*states: str) -> Across:
        return Across(
            rows=Task.objects.filter(requester=request.user) if own else Task.objects.all(),
            projects=(chosen.pk,) if chosen else mine.projects,
            states=states,
        )

    counted = {"active": OPEN, "sign-off": _STATES["sign-off"]}
    shell, counts = shell_of(
        request.user,
        mine,
        {key: listed_in(*states).counted(COUNT_AT_MOST) for key, states in counted.items()},
    )
    listed = _slice(listed_in(*_STATES[tab]), place)
    waiting: keyset.Page[Task] = keyset.Page(rows=[])
    if tab == "active" and place is None:
        waiting = _slice(listed_in(*_FOR_PEOPLE), None)
    shown = task_rows([*waiting.rows, *listed.rows])
    kept = {"project": chosen.slug if chosen else "", "mine": "1" if own else ""}
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
        "projects": mine.named,
        "chosen": chosen,
        "mine": own,
        "examples": examples.for_project(chosen or next(iter(mine.named), None)),
    }
    more = request.htmx and request.GET.get("after")
    return page(request, "tasks/_rows.html" if more else "tasks/tasks.html", context)


def _slice(listed: Across, place: Place | None) -> keyset.Page[Task]:
    return keyset.page(
        listed,
        lambda tasks: tasks.select_related("project", "requester").defer(*LONG),
        order=_NEWEST,
        place=place,
        limit=_AT_ONCE,
    )
