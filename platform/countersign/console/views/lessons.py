"""The memory page: lessons people confirm, edit, retire or forget."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from agents.models import Agent, Task
from countersign.console import drafts
from countersign.console.addresses import address_of, inside
from countersign.console.looks import MEMORIES
from countersign.console.posted import takes_forms
from countersign.console.rendering import mine_of, page
from memory import lessons
from memory.lifecycle import MemoryState
from memory.models import Memory
from projects import keyset
from projects.across import Across
from projects.exceptions import CountersignError
from projects.keyset import Order, Place

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest
    from projects.across import Mine
    from projects.models import User

_AT_ONCE = 50
_NEWEST = Order()
TABS = {"": "All", "proposed": "Proposed", "active": "Active", "retired": "Retired"}
_SHOWN = tuple(set(MemoryState.values) - {MemoryState.ERASED, MemoryState.SUPERSEDED})
_SAID = {
    "keep": "Kept. Later tasks recall it.",
    "edit": "Saved.",
    "retire": "Retired. It is no longer recalled.",
    "forget": "Forgotten. Its text and vectors are gone.",
    "release": "It may be judged now.",
}


@login_required
@require_GET
def memory(request: PersonRequest) -> HttpResponse:
    """Show what is remembered in this person's projects."""
    state = request.GET.get("state", "")
    state = state if state in TABS else ""
    mine = mine_of(request)
    chosen = next((row for row in mine.named if row.slug == request.GET.get("project")), None)
    listed = _listed(
        request.user,
        (chosen.pk,) if chosen else mine.projects,
        (state,) if state else _SHOWN,
        Place.of(_NEWEST, request.GET),
    )
    kept = {"state": state, "project": chosen.slug if chosen else ""}
    context = {
        "here": "memory",
        "tabs": [(key, word, key == state) for key, word in TABS.items()],
        "state": state,
        "projects": mine.named,
        "chosen": chosen,
        "rows": _rows(listed.rows, request.user, mine),
        "listed": listed,
        "address": urlencode(kept),
        "editing": request.GET.get("edit", ""),
        "typed": drafts.take(request, "lesson"),
    }
    return page(request, "memory/memory.html", context)


def _listed(
    user: User, projects: tuple[UUID, ...], states: tuple[str, ...], place: Place | None
) -> keyset.Page[Memory]:
    mine_or_shared = Memory.objects.filter(Q(owner=None) | Q(owner=user))
    return keyset.page(
        Across(rows=mine_or_shared, projects=projects, states=states),
        lambda rows: (
            rows.visible_to(user)  # type: ignore[attr-defined]
            .select_related("project", "approved_by")
            .defer("search", "evidence")
        ),
        order=_NEWEST,
        place=place,
        limit=_AT_ONCE,
    )


@login_required
@takes_forms
def act(request: PersonRequest, pk: UUID, act: str) -> HttpResponse:
    """Keep, edit, retire, release or forget one memory."""
    if act not in _SAID:
        raise Http404
    found = get_object_or_404(
        Memory.objects.visible_to(request.user).select_related("project"), pk=pk
    )
    try:
        _do(found, act, request)
        messages.success(request, _SAID[act])
    except CountersignError as error:
        if act == "edit":
            drafts.keep(request, "lesson", {"of": str(pk), "text": _content(request)})
        messages.error(request, str(error))
    return redirect(inside(request, request.POST.get("next") or reverse("console:memory")))


def _do(memory: Memory, act: str, request: PersonRequest) -> None:
    told: dict[str, str] = {}
    if act == "edit":
        told["content"] = _content(request)
    elif act == "keep":
        told["read"] = request.POST.get("read", "")
    getattr(lessons, act)(memory, by=request.user, address=address_of(request), **told)


def _content(request: PersonRequest) -> str:
    return request.POST.get("content", "").replace("\r\n", "\n")


def _rows(memories: list[Memory], user: User, mine: Mine) -> list[dict[str, object]]:
    ids = {memory.source_task for memory in memories if memory.source_task}
    sources = Task.objects.visible_to(user).filter(pk__in=ids).only("number")
    tasks = {task.pk: task for task in sources} if ids else {}
    agents = {agent.slug: agent for agent in Agent.objects.all()}
    return [
        {
            "memory": memory,
            "look": MEMORIES[memory.state],
            "task": tasks.get(memory.source_task) if memory.source_task else None,
            "agent": agents.get(memory.agent_slug),
            "lead": memory.project_id in mine.led,
        }
        for memory in memories
    ]
