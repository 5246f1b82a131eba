"""The trace of a task: the page, its fragments, and its live answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_GET

from countersign.console.lookup import task_or_404
from countersign.console.rendering import page
from countersign.console.trace.page import Page, news_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@require_GET
def trace(request: PersonRequest, number: int) -> HttpResponse:
    """Show what ran; a fragment of it where only that is asked for."""
    found = Page(task_or_404(request.user, number), request.user, request.GET)
    match request.GET.get("part", "") if request.htmx else "":
        case "span":
            return page(request, "trace/_drawer.html", found.drawer())
        case "rows":
            return page(request, "trace/_rows.html", found.part())
        case "below":
            return page(request, "trace/_below.html", found.below(request.GET.get("of", "")))
    return page(request, "trace/trace.html", found.drawn())


@login_required
@require_GET
def live(request: PersonRequest, number: int) -> HttpResponse:
    """Answer a doorbell: how the task is, and how much came since; never the rows under the eye."""
    shown = request.GET.get("shown", "")
    seen = int(shown) if shown.isdecimal() and len(shown) < 9 else 0
    return page(request, "trace/live.html", news_of(task_or_404(request.user, number), seen))
