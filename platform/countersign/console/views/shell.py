"""The home redirect, the shell's live answer, and search."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypedDict

from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from agents.models import Task
from countersign.console import finding
from countersign.console.held import may_operate
from countersign.console.looks import of_task
from countersign.console.rendering import mine_of, page

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest
    from projects.across import Mine
    from projects.models import User

_LABEL = re.compile(r"(?:T-)?(\d{1,12})", re.IGNORECASE)
_FOUND = 8
_PAGES = (
    ("New task", "plus", "new", "n"),
    ("Review inbox", "inbox", "inbox", "g i"),
    ("Tasks", "list-checks", "tasks", "g t"),
    ("Notifications", "bell", "notifications", "g b"),
    ("Memory", "brain", "memory", "g m"),
    ("Standing grants", "key-round", "standing_grants", ""),
    ("Operations", "octagon-pause", "operations", ""),
    ("Settings", "settings", "settings", ""),
)
PLACES = frozenset({"new", "inbox", "tasks", "notifications", "memory", "operations", "settings"})


class Jump(TypedDict):
    """One answer of the search."""

    word: str
    icon: str
    hint: str
    url: str


@login_required
@require_GET
def home(request: PersonRequest) -> HttpResponse:
    """Go where this person's work is: a lead to the inbox, others to their tasks."""
    return redirect("console:inbox" if mine_of(request).led else "console:tasks")


@login_required
@require_GET
def live(request: PersonRequest) -> HttpResponse:
    """Answer a doorbell with what the shell shows now."""
    here = request.GET.get("here", "")
    return page(request, "shell/live.html", {"here": here if here in PLACES else ""})


@login_required
@require_GET
def jump(request: PersonRequest) -> HttpResponse:
    """Find pages and tasks."""
    words = request.GET.get("q", "").strip()[:200].replace("\0", "")
    found = _jumps(request.user, mine_of(request), words)
    if not request.htmx and len(found) == 1 and _LABEL.fullmatch(words):
        return redirect(found[0]["url"])
    template = "shell/_jump.html" if request.htmx else "shell/jump.html"
    return page(request, template, {"jumps": found, "q": words})


def _numbered(user: User, number: int) -> list[Task]:
    return list(Task.objects.visible_to(user).filter(number=number))


def _jumps(user: User, mine: Mine, words: str) -> list[Jump]:
    label = _LABEL.fullmatch(words)
    tasks = _numbered(user, int(label[1])) if label else finding.tasks(mine, words, _FOUND)
    pages = [row for row in _PAGES if words.lower() in row[0].lower()]
    if not may_operate(user, mine):
        pages = [row for row in pages if row[2] != "operations"]
    return [
        *(
            Jump(word=word, icon=icon, hint=hint, url=reverse(f"console:{name}"))
            for word, icon, name, hint in pages
        ),
        *(
            Jump(
                word=f"{task.label} {task.title}",
                icon=of_task(task).icon,
                hint=of_task(task).word,
                url=reverse("console:task", args=[task.number]),
            )
            for task in tasks
        ),
    ]
