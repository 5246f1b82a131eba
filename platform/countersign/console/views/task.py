"""One task: the page and its live answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_GET

from countersign.console import drafts
from countersign.console.lookup import task_or_404
from countersign.console.rendering import mine_of, page
from countersign.console.task_page import context_of, earlier_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@require_GET
def task(request: PersonRequest, number: int) -> HttpResponse:
    """Show a task."""
    found = task_or_404(request.user, number)
    typed = drafts.take(request, "note", "pause", "stop", "again", "answers", of=[number])
    context = context_of(found, request.user, mine_of(request), request.GET, typed)
    return page(request, "task/task.html", context)


@login_required
@require_GET
def live(request: PersonRequest, number: int) -> HttpResponse:
    """Answer a doorbell with the fragments that may have changed."""
    found = task_or_404(request.user, number)
    context = context_of(found, request.user, mine_of(request), request.GET, live=True)
    return page(request, "task/live.html", context)


@login_required
@require_GET
def earlier(request: PersonRequest, number: int) -> HttpResponse:
    """Answer with the events before the first one a page shows."""
    found = task_or_404(request.user, number)
    return page(request, "task/earlier.html", earlier_of(found, request.GET))
