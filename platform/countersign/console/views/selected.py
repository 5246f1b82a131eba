"""What a person does with several approvals of the inbox at once. GET never decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from approvals import bulk, snoozing, undoing
from approvals.bulk import Seen
from approvals.exceptions import UnknownApproval
from approvals.models import SEAL, Approval
from countersign.console import drafts, selected_page
from countersign.console.addresses import address_of, back_of
from countersign.console.posted import takes_forms
from countersign.console.rendering import page
from countersign.console.requests import text_of
from notices import quiet
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@require_GET
def selected(request: PersonRequest) -> HttpResponse:
    """Say what a selection has in common, and what approving it does; htmx gets the bar alone."""
    selection = selected_page.look(request, selected_page.picked(request.GET.getlist("pick")))
    back = request.htmx.current_url_abs_path or back_of(request)
    context = {"here": "inbox", **selected_page.shown(selection, request.user, back)}
    if request.htmx:
        return page(request, "inbox/_bulk.html", context)
    # What blocks is taken out first; until there is a field again, the note is kept.
    of = [each.pk for each in selection.waiting]
    typed = drafts.take(request, "together", of=of) if selection.allowed else {}
    return page(request, "inbox/selected.html", {**context, "typed": typed})


@login_required
@takes_forms
def approve(request: PersonRequest) -> HttpResponse:
    """Sign each of them as the page showed it, or none when they do not go together."""
    seen = [_seen(item) for item in request.POST.getlist("item")]
    note = text_of(request, "note")
    keys, back = [each.id for each in seen], back_of(request)
    try:
        results = bulk.approve(seen, by=request.user, note=note, address=address_of(request))
    except UnknownApproval:
        raise Http404 from None
    except CountersignError as error:
        drafts.keep(request, "together", {"text": note}, of=keys)
        messages.error(request, str(error))
        again = selected_page.link("console:selected", keys, back=back)
        return redirect(again if keys else back)
    selected_page.keep(request, results)
    return redirect(selected_page.link("console:selected_done", back=back))


@login_required
@require_GET
def done(request: PersonRequest) -> HttpResponse:
    """Say what became of each, with a way back for those that are approved."""
    outcomes = selected_page.outcomes(request)
    if not outcomes:
        return redirect(back_of(request))
    approved = [each for each in outcomes if each.outcome == "approved"]
    context = {
        "here": "inbox",
        "back": back_of(request),
        "outcomes": outcomes,
        "approved": approved,
        "undoable": [each for each in approved if each.undo_until],
    }
    return page(request, "inbox/done.html", context)


@login_required
@takes_forms
def undo(request: PersonRequest) -> HttpResponse:
    """Take several approvals back, each inside its own window."""

    def one(approval: Approval) -> None:
        undoing.undo(approval, by=request.user, address=address_of(request))

    undone = _each(request, one)
    if undone:
        waits = "it waits" if undone == 1 else "they wait"
        messages.success(request, f"{undone} undone. Nothing was merged; {waits} again.")
    return redirect(back_of(request))


@login_required
@takes_forms
def snooze(request: PersonRequest) -> HttpResponse:
    """Put several off for the same span, each to its own deadline at the latest."""
    span, clock = request.POST.get("for", ""), quiet.clock_of(request.user)

    def one(approval: Approval) -> None:
        by, address = request.user, address_of(request)
        snoozing.put_off(approval, span, by=by, clock=clock, address=address)

    put_off = _each(request, one)
    if put_off:
        what = "1 review is" if put_off == 1 else f"{put_off} reviews are"
        messages.success(request, f"{what} put off, under Snoozed.")
    return redirect(back_of(request))


def _each(request: PersonRequest, act: Callable[[Approval], None]) -> int:
    """Do something to each that was picked; say why of those that refused, count the others."""
    done = 0
    for approval in _approvals(request, selected_page.picked(request.POST.getlist("pick"))):
        try:
            act(approval)
            done += 1
        except CountersignError as error:
            messages.error(request, f"{approval.task.label}: {error}")
    return done


def _approvals(request: PersonRequest, keys: Sequence[UUID]) -> list[Approval]:
    rows = Approval.objects.visible_to(request.user).select_related("project", "task")
    found = list(rows.defer(*SEAL).filter(pk__in=keys).order_by("expires_at", "pk"))
    if len(found) != len(keys):
        raise Http404
    return found


def _seen(item: str) -> Seen:
    key, _, rest = item.partition(" ")
    digest, _, nonce = rest.partition(" ")
    return Seen(id=selected_page.picked([key])[0], digest=digest, nonce=nonce)
