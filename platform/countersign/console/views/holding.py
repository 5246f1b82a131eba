"""Pausing a task, and the page where leads and admins hold projects, agents or everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET

from agents import holds, priorities
from agents.models import Agent
from countersign.console import drafts, held
from countersign.console.addresses import address_of, inside
from countersign.console.lookup import task_or_404
from countersign.console.posted import takes_forms
from countersign.console.rendering import mine_of, page
from countersign.console.requests import text_of
from projects.exceptions import CountersignError, InvalidInput
from projects.keyset import Place

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@takes_forms
def pause(request: PersonRequest, number: int) -> HttpResponse:
    """Pause a task; what was finished is kept and its clocks stand still."""
    task, reason = task_or_404(request.user, number), text_of(request, "reason")
    try:
        holds.place(by=request.user, task=task, reason=reason, address=address_of(request))
        messages.success(request, f"{task.label} is paused. What was finished is kept.")
    except CountersignError as error:
        drafts.keep(request, "pause", {"text": reason}, of=[number])
        messages.error(request, str(error))
    return redirect("console:task", number)


@login_required
@takes_forms
def resume(request: PersonRequest, number: int) -> HttpResponse:
    """Let a paused task go on."""
    task = task_or_404(request.user, number)
    try:
        holds.resume(
            task, by=request.user, reason=text_of(request, "reason"), address=address_of(request)
        )
        messages.success(request, f"{task.label} goes on from where it was.")
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect("console:task", number)


@login_required
@takes_forms
def priority(request: PersonRequest, number: int) -> HttpResponse:
    """Let a lead say how soon a task is done."""
    task = task_or_404(request.user, number)
    try:
        priorities.change(
            task, to=request.POST.get("priority", ""), by=request.user, address=address_of(request)
        )
        messages.success(
            request, f"{task.label} has the priority {priorities.word_of(task).lower()} now."
        )
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect("console:task", number)


@login_required
@require_GET
def operations(request: PersonRequest) -> HttpResponse:
    """Show what is held, and let those who may hold more."""
    mine = mine_of(request)
    if not held.may_operate(request.user, mine):
        raise PermissionDenied
    typed = drafts.take(request, "hold").get("hold", {})
    rows, listed = held.listed(request.user, mine, Place.of(held.BY_TIME, request.GET))
    context = {
        "here": "operations",
        "open_holds": rows,
        "listed": listed,
        "address": "",
        "lifted": held.lately(request.user),
        "targets": held.targets(request.user, mine),
        "aim": typed.get("aim") or request.GET.get("aim", ""),
        "typed": typed,
    }
    return page(request, "operations/operations.html", context)


@login_required
@takes_forms
def place(request: PersonRequest) -> HttpResponse:
    """Hold a project, an agent or everything."""
    if not held.may_operate(request.user, mine_of(request)):
        raise PermissionDenied
    aim, reason = _aim(request), text_of(request, "reason")
    try:
        if aim is None:
            raise InvalidInput("aim", "Choose what to hold. Nothing was held.")
        hold = holds.place(by=request.user, reason=reason, address=address_of(request), **aim)
        messages.success(request, f"{held.what_of(hold)} is held. What was finished is kept.")
    except CountersignError as error:
        chosen = drafts.choices(request.POST, ["aim"])
        drafts.keep(request, "hold", {**chosen, "reason": reason})
        messages.error(request, str(error))
    return redirect("console:operations")


@login_required
@takes_forms
def lift(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Lift a hold, and go back to where the person was."""
    hold = get_object_or_404(holds.seen_by(request.user), pk=pk)
    try:
        holds.lift(hold, by=request.user, address=address_of(request))
        messages.success(request, f"{held.what_of(hold)} goes on from where it was.")
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect(inside(request, request.POST.get("next")))


def _aim(request: PersonRequest) -> dict[str, Any] | None:
    """Return what was chosen, among what this person may choose; None when it is none of that."""
    chosen = request.POST.get("aim", "")
    if chosen not in {target.value for target in held.targets(request.user, mine_of(request))}:
        return None
    scope, _, slug = chosen.partition(":")
    if scope == "project":
        return {"project": held.led(request.user).get(slug=slug)}
    return {"agent": Agent.objects.get(slug=slug)} if scope == "agent" else {}
