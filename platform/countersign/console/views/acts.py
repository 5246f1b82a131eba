"""What a person does to a task: stop, note, answer an escalation, propose again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from agents import notes, reopening
from agents.escalations import AlreadyAnswered
from agents.models import Escalation, Step
from agents.models.tasks import Choice
from approvals import answering, stopping
from countersign.console import drafts, reading
from countersign.console.addresses import address_of
from countersign.console.lookup import task_or_404
from countersign.console.posted import takes_forms
from countersign.console.requests import text_of
from projects.exceptions import CountersignError, InvalidInput

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest

_FIELDS = {"agent": Choice.REASSIGN, "commit": Choice.TAKE_OVER}


@login_required
@takes_forms
def stop(request: PersonRequest, number: int) -> HttpResponse:
    """Stop a task; what was done is kept to look at."""
    task, reason = task_or_404(request.user, number), text_of(request, "reason")
    try:
        stopping.stop_task(task, by=request.user, reason=reason, address=address_of(request))
        messages.success(request, f"{task.label} is stopped. Its work is kept; nothing is merged.")
    except CountersignError as error:
        drafts.keep(request, "stop", {"text": reason}, of=[number])
        messages.error(request, str(error))
    return redirect("console:task", number)


@login_required
@takes_forms
def note(request: PersonRequest, number: int) -> HttpResponse:
    """Send a note to the agents; it is read at the next turn."""
    task, text = task_or_404(request.user, number), text_of(request, "text")
    try:
        notes.add_note(task, text=text, by=request.user, address=address_of(request))
        when = "if a next round begins" if reading.finished(task) else "before their next turn"
        messages.success(request, f"Note sent. Agents read it {when}.")
    except CountersignError as error:
        drafts.keep(request, "note", {"text": text}, of=[number])
        messages.error(request, str(error))
    return redirect("console:task", number)


@login_required
@takes_forms
def resolve(request: PersonRequest, number: int, pk: UUID) -> HttpResponse:
    """Answer an escalation."""
    task = task_or_404(request.user, number)
    rows = Escalation.objects.select_related("task__project", "step__agent", "step__task")
    escalation = get_object_or_404(rows, task=task, pk=pk)
    answer = {field: text_of(request, field) for field in ("choice", "note")}
    # Fields of a choice that was not made are on the page, only not shown.
    for field, choice in _FIELDS.items():
        answer[field] = text_of(request, field) if answer["choice"] == choice else ""
    try:
        answering.answer(escalation, by=request.user, address=address_of(request), **answer)
        messages.success(request, "Your choice is on record.")
    except InvalidInput as error:
        _keep_answer(request, number, pk, {**answer, "field": error.field, "problem": str(error)})
    except AlreadyAnswered as error:
        messages.error(request, str(error))
    except CountersignError as error:
        _keep_answer(request, number, pk, {**answer, "field": "", "problem": str(error)})
    return redirect("console:task", number)


@login_required
@takes_forms
def send_again(request: PersonRequest, number: int, pk: UUID) -> HttpResponse:
    """Send one step again; what builds on it follows."""
    task = task_or_404(request.user, number)
    rows = Step.objects.select_related("task__project", "agent", "version")
    step, note = get_object_or_404(rows, task=task, pk=pk), text_of(request, "note")
    try:
        reopening.reopen(step, note=note, by=request.user, address=address_of(request))
        messages.success(request, f"{step.agent.name} does it again. The others keep their work.")
    except CountersignError as error:
        drafts.keep(request, "again", {"of": str(pk), "text": note}, of=[number])
        messages.error(request, str(error))
        return redirect(f"{reverse('console:task', args=[number])}?agent={pk}")
    return redirect("console:task", number)


def _keep_answer(request: PersonRequest, number: int, pk: UUID, answer: dict[str, str]) -> None:
    drafts.keep(request, "answers", {str(pk): answer}, of=[number])
