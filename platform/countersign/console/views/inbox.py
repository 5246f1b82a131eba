"""The review inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_GET

from approvals import pacing, selectors
from approvals.calls import selectors as calls
from countersign.console import arrivals, inbox_page, pace
from countersign.console.narrowing import read as narrow
from countersign.console.rendering import COUNT_AT_MOST, capped, mine_of, page, shell_of
from countersign.console.views.saved import DELETED
from projects.keyset import Order, Place

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.narrowing import Narrowing
    from countersign.console.requests import PersonRequest

TABS = {
    "needs-you": "Needs you",
    "with-agents": "With agents",
    "snoozed": "Snoozed",
    "decided": "Decided",
}


@login_required
@require_GET
def inbox(request: PersonRequest) -> HttpResponse:
    """Show one tab of the inbox, with a look into one row beside it."""
    deleted = request.session.pop(DELETED, None)
    return page(request, "inbox/inbox.html", {**_context(request), "view_deleted": deleted})


@login_required
@require_GET
def live(request: PersonRequest) -> HttpResponse:
    """Answer a doorbell: counters and a notice; the rows stay under the cursor."""
    context = _context(request, peeks=False)
    if context["tab"] == "needs-you":
        asked = context["asked"]
        context["over"] = arrivals.over(request.user, asked, request.GET)
        # On a later page what is before it is not known.
        sort = context["narrowing"].sort
        context["news"] = 0 if _place(request) else arrivals.news(asked, request.GET, sort=sort)
    return page(request, "inbox/live.html", context)


def _context(request: PersonRequest, *, peeks: bool = True) -> dict[str, Any]:
    user, tab = request.user, request.GET.get("tab", "")
    tab = tab if tab in TABS else "needs-you"
    mine = mine_of(request)
    shell, counts = shell_of(
        user,
        mine,
        {
            "agents": selectors.with_agents(mine).counted(COUNT_AT_MOST),
            "calls": calls.at_work(user.pk, mine).counted(COUNT_AT_MOST),
            "today": selectors.decided_today(user, COUNT_AT_MOST),
            "snoozed": selectors.snoozed_of(user, mine, COUNT_AT_MOST),
            "decided": pacing.latest(user),
        },
    )
    narrowing = narrow(request, mine, tab, shell["views"])
    shown = _TABS[tab](request, narrowing)
    peeked = {row.key: row for row in shown["peeked"]}
    row = peeked.get(request.GET.get("at", "")) or next(iter(peeked.values()), None)
    words = {
        "needs-you": capped(shell["inbox"]),
        "with-agents": capped(min(COUNT_AT_MOST, counts["agents"] + counts["calls"])),
        "snoozed": capped(counts["snoozed"]) if counts["snoozed"] else "",
        "decided": "",
    }
    return {
        "here": "inbox",
        "shell": shell,
        "tab": tab,
        "tabs": [(key, word, key == tab, words[key]) for key, word in TABS.items()],
        "with_agents_count": counts["agents"],
        "with_agents_word": capped(counts["agents"]),
        "decided_today": capped(counts["today"]) if counts["today"] else "",
        "pace": pace.shown(request, counts["decided"]),
        "at": row.key if row else None,
        "peek": inbox_page.closer_look(user, mine, row) if row and peeks else None,
        "narrowing": narrowing,
        "kept": urlencode(narrowing.kept),
        "address": urlencode({"tab": tab, **narrowing.kept}),
        "page_address": urlencode({"tab": tab, **narrowing.kept, **_place(request)}),
        **shown,
    }


def _place(request: PersonRequest) -> dict[str, str]:
    return {name: request.GET[name] for name in ("after", "before") if request.GET.get(name)}


def _needs_you(request: PersonRequest, narrowing: Narrowing) -> dict[str, Any]:
    asked = inbox_page.needs_you(narrowing, Place.of(narrowing.order, request.GET))
    marks = arrivals.marks_of(asked)
    return {"asked": asked, "listed": asked.page, "peeked": asked.rows, "marks": marks}


def _with_agents(request: PersonRequest, narrowing: Narrowing) -> dict[str, Any]:
    rows, listed = inbox_page.with_agents(narrowing, Place.of(Order(), request.GET))
    aside = inbox_page.Aside() if _place(request) else inbox_page.aside(narrowing)
    return {"with_agents": rows, "aside": aside, "listed": listed, "peeked": aside.calls}


def _snoozed(request: PersonRequest, narrowing: Narrowing) -> dict[str, Any]:
    rows, listed = inbox_page.snoozed(narrowing, Place.of(narrowing.order, request.GET))
    return {"snoozed": rows, "listed": listed, "peeked": rows}


def _decided(request: PersonRequest, narrowing: Narrowing) -> dict[str, Any]:
    place = Place.of(selectors.BY_DECISION, request.GET)
    rows, listed = inbox_page.decided(narrowing, place)
    return {"decided": rows, "listed": listed, "peeked": rows}


_TABS = {
    "needs-you": _needs_you,
    "with-agents": _with_agents,
    "snoozed": _snoozed,
    "decided": _decided,
}
