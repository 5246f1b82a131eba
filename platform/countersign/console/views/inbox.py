"""The review inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_GET

from countersign.console import inbox_page
from countersign.console.rendering import page

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest

TABS = {"needs-you": "Needs you", "with-agents": "With agents", "decided": "Decided"}


@login_required
@require_GET
def inbox(request: PersonRequest) -> HttpResponse:
    """Show one tab of the inbox, with a look into one row beside it."""
    return page(request, "inbox/inbox.html", _context(request))


@login_required
@require_GET
def live(request: PersonRequest) -> HttpResponse:
    """Answer a doorbell: counters and a notice; the rows stay under the cursor."""
    return page(request, "inbox/live.html", _context(request))


def _context(request: PersonRequest) -> dict[str, Any]:
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "needs-you"
    asked = inbox_page.needs_you(request.user)
    agents = inbox_page.with_agents(request.user)
    done = inbox_page.decided(request.user) if tab == "decided" else []
    shown = {"decided": done, "needs-you": asked.rows}.get(tab, [])
    keys = [row.approval.pk for row in shown]
    at = next((key for key in keys if str(key) == request.GET.get("at")), next(iter(keys), None))
    waiting = len(asked.rows) + len(asked.questions)
    counts = {"needs-you": waiting, "with-agents": len(agents), "decided": ""}
    return {
        "here": "inbox",
        "tab": tab,
        "tabs": [(key, word, key == tab, counts[key]) for key, word in TABS.items()],
        "asked": asked,
        "with_agents": agents,
        "decided": done,
        "decided_today": inbox_page.decided_today(request.user),
        "at": at,
        "peek": inbox_page.closer_look(request.user, at) if at else None,
        "fingerprint": ",".join(str(row.approval.pk)[-6:] for row in asked.rows),
    }
