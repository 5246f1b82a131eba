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
    groups = inbox_page.needs_you(request.user)
    rows = [row for _, _, rows in groups for row in rows]
    agents = inbox_page.with_agents(request.user)
    done = inbox_page.decided(request.user) if tab == "decided" else []
    questions = inbox_page.questions_for(request.user)
    at = request.GET.get("at", "")
    shown = done if tab == "decided" else rows if tab == "needs-you" else []
    counts = {"needs-you": len(rows) + len(questions), "with-agents": len(agents), "decided": ""}
    peek = next((row for row in shown if str(row.approval.pk) == at), None)
    return {
        "here": "inbox",
        "tab": tab,
        "tabs": [(key, word, key == tab, counts[key]) for key, word in TABS.items()],
        "groups": groups,
        "rows": rows,
        "questions": questions,
        "with_agents": agents,
        "decided": done,
        "decided_today": inbox_page.decided_today(request.user),
        "peek": peek or (shown[0] if shown else None),
        "fingerprint": ",".join(str(row.approval.pk)[-6:] for row in rows),
    }
