"""What a person does to a task: stop, note, answer an escalation, propose again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from agents import escalations, notes
from agents.models import Escalation
from approvals import stopping
from countersign.console.addresses import address_of
from countersign.console.lookup import task_or_404
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest


@login_required
@require_POST
def stop(request: PersonRequest, number: int) -> HttpResponse:
    """Stop a task; what was done is kept to look at."""
    task = task_or_404(request.user, number)
    try:
        stopping.stop_task(
            task,
            by=request.user,
            reason=_text(request, "reason"),
            address=address_of(request),
        )
        messages.success(request, f"{task.label} is stopped. Its work is kept; nothing is merged.")
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect("console:task", number)


@login_required
@require_POST
def note(request: PersonRequest, number: int) -> HttpResponse:
    """Send a note to the agents; it is read at the next turn."""
    task = task_or_404(request.user, number)
    try:
        notes.add_note(task, text=_text(request, "text"), by=request.user)
        messages.success(request, "Note sent. Agents read it before their next turn.")
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect("console:task", number)


@login_required
@require_POST
def resolve(request: PersonRequest, number: int, pk: UUID) -> HttpResponse:
    """Answer an escalation."""
    task = task_or_404(request.user, number)
    escalation = get_object_or_404(Escalation, task=task, pk=pk)
    try:
        escalations.resolve(
            escalation,
            choice=request.POST.get("choice", ""),
            note=_text(request, "note"),
            by=request.user,
        )
        messages.success(request, "Your choice is on record.")
    except CountersignError as error:
        messages.error(request, str(error))
    return redirect("console:task", number)


def _text(request: PersonRequest, field: str) -> str:
    return request.POST.get(field, "").replace("\r\n", "\n").strip()
