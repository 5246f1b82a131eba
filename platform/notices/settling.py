"""Takes from people's bells what nobody is asked any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.functions import Now

from agents.models import Event
from approvals.models import CallSignature, Signature
from notices import moments
from notices.models import Kind, Notification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

_QUESTIONS = (Kind.ASKED, Kind.DUE)


def settle(happened: Sequence[Event]) -> set[int]:
    """Mark as read what these events answer, for everybody, and what was signed, for who has signed
    it; return those that answered something.

    They come after what they answer, so a question and its answer of one batch are both seen.
    """
    return {event.pk for event in happened if _answers(event)}


def _answers(event: Event) -> bool:
    match event.kind:
        case moments.DECIDED | moments.CALL_DECIDED:
            asked = _questions_of(event)
        case moments.SIGNED:
            asked = _questions_of(event) & _signers_of(event)
        case moments.REQUESTED:
            asked = Q(notice__type=moments.DECIDED, notice__kind=Kind.STUCK)
        case moments.RESOLVED:
            asked = Q(notice__event__in=_raised(event))
        case moments.FINISHED:
            asked = Q(notice__kind__in=[*_QUESTIONS, Kind.STUCK])
        case _:
            return False
    earlier = Notification.objects.filter(notice__task=event.task_id, notice__event__lt=event.pk)
    return bool(earlier.filter(asked, read_at=None).update(read_at=Now()))


def _questions_of(event: Event) -> Q:
    key = moments.key_of(event.data.get("approval"))
    of_it = Q(notice__approval=key) | Q(notice__call=key)
    return of_it & Q(notice__kind__in=_QUESTIONS)


def _signers_of(event: Event) -> Q:
    """Return whose signatures there are: the event has the name alone."""
    key = moments.key_of(event.data.get("approval"))
    signed, allowed = (
        kind.objects.filter(approval=key).values("signer") for kind in (Signature, CallSignature)
    )
    return Q(person__in=signed) | Q(person__in=allowed)


def _raised(event: Event) -> QuerySet[Event, int]:
    """Return the key of the event that asked what this one answers: each step may ask its own."""
    named = {"data__escalation": event.data.get("escalation")}
    raised = Event.objects.filter(task=event.task_id, kind=moments.RAISED, **named)
    return raised.values_list("pk", flat=True)
