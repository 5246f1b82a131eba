"""Lines around a hunk: put in their place on the review page, or on a page of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_GET

from approvals import surroundings
from countersign.console import diff
from countersign.console.lookup import approval_or_404
from countersign.console.rendering import page
from countersign.statuses import status_of
from projects.exceptions import CountersignError, InvalidInput

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest

_DIGITS = 9


@login_required
@require_GET
def around(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Show unchanged lines next to a hunk of what is sealed; what cannot be shown says why."""
    approval = approval_or_404(request.user, number, round_number)
    hunk = request.GET.get("hunk", "")
    way = "below" if request.GET.get("way") == "below" else "above"
    context: dict[str, Any] = {"hunk_id": hunk, "way": way, "status": 200}
    context |= {
        "here": "inbox",
        "approval": approval,
        "task": approval.task,
        "around": request.path,
    }
    try:
        context["at"] = at = _number(request.GET.get("at", ""))
        context |= _shown(surroundings.read(approval, hunk, at, below=way == "below"), way)
    except CountersignError as error:
        context |= {"error": error, "status": status_of(error)}
    if request.htmx:  # what cannot be shown is said in the place of the lines
        return page(request, "review/_around.html", context)
    return page(request, "review/around.html", context, status=context["status"])


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidInput("at", surroundings.NONE_HERE)
    return int(text)


def _shown(lines: surroundings.Lines, way: str) -> dict[str, Any]:
    text = "".join(f" {line}\n" for line in lines.texts)
    after = lines.first + len(lines.texts)
    return {
        "blocks": diff.blocks(text, lines.first + lines.shift, lines.first) if text else (),
        "first": lines.first,
        "last": after - 1,
        "next": (lines.first - 1 if way == "above" else after) if lines.more else None,
    }
