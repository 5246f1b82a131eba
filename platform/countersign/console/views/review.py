"""The review page, its live answer, and the marks of files looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRedirect

from approvals import freshness, rights, viewing
from countersign.console import hunks, review_page, review_rows
from countersign.console.addresses import address_of
from countersign.console.lookup import approval_or_404, of_form, sealed_approval, task_or_404
from countersign.console.posted import takes_forms
from countersign.console.rendering import mine_of, page
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from django.http import HttpResponse
    from django.http.response import HttpResponseBase

    from countersign.console.requests import PersonRequest


@login_required
@require_GET
def review(request: PersonRequest, number: int, round_number: int) -> HttpResponseBase:
    """Show what was sealed for a decision; until it is, the task page says when."""
    approval = sealed_approval(request.user, number, round_number)
    if approval is not None:
        return review_page.show(request, approval)
    if not 1 <= round_number <= task_or_404(request.user, number).round:
        raise Http404
    return redirect("console:task", number)


@login_required
@require_GET
def main_moved(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Answer whether main is still where it was sealed; asked beside the page, for git may be slow."""
    approval = approval_or_404(request.user, number, round_number)
    may_sign = not rights.why_not(approval, request.user)
    context = {
        "approval": approval,
        "task": approval.task,
        "moved_to": freshness.main_moved(approval),
        "may_sign": may_sign,
        "may_put_up_again": may_sign or approval.requester_id == request.user.pk,
    }
    return page(request, "review/main_moved.html", context)


@login_required
@require_GET
def live(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Answer a doorbell: state and notices; never the diff, and never a form under the hand."""
    newest = sealed_approval(request.user, number, round_number)
    if newest is None:
        raise Http404
    mine = mine_of(request)
    record = review_rows.read(newest, request.user, mine, whole=False)
    shown = request.GET.get("shown", "")
    context = {
        **review_page.decision_of(newest, request.user, mine, record),
        "here": "inbox",
        "approval": newest,
        "task": newest.task,
        "seq": newest.task.last_seq,
        "changed": shown != f"{newest.pk}:{newest.state}",
    }
    return page(request, "review/live.html", context)


@login_required
@takes_forms
def viewed(request: PersonRequest, number: int, round_number: int) -> HttpResponse:
    """Note that a file was looked at, or take it back; without htmx go back to the file."""
    newest = approval_or_404(request.user, number, round_number)
    # The one that was looked at: a newer one may show something else under the same path.
    approval = of_form(request, newest)
    path, on = request.POST.get("path", ""), request.POST.get("viewed") == "on"
    try:
        viewing.mark(approval, path, by=request.user, viewed=on, address=address_of(request))
    except CountersignError as error:
        messages.error(request, str(error))
        back = reverse("console:review", args=[number, round_number])
        return HttpResponseClientRedirect(back) if request.htmx else redirect(back)
    anchor = hunks.anchors(approval.snapshot)[path]
    if not request.htmx:
        return redirect(f"{reverse('console:review', args=[number, round_number])}#{anchor}")
    context = {
        "approval": approval,
        "task": approval.task,
        "file": {"path": path, "anchor": anchor, "viewed": on},
        **review_page.files_left(approval, viewing.viewed_by(request.user, approval)),
    }
    return page(request, "review/viewed.html", context)
