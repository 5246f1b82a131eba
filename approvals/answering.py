"""Takes a person's answer to an escalation from above: "stop" also withdraws what was approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from agents import escalations
from agents.models.tasks import Choice
from approvals import stopping
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from agents.models import Escalation
    from projects.models import User


def answer(
    escalation: Escalation,
    *,
    choice: str,
    note: str = "",
    agent: str = "",
    commit: str = "",
    by: User,
    address: str | None = None,
) -> None:
    """Go on as a person chose; page and API both end here.

    Of several answers at once one counts. Raises AlreadyAnswered, InvalidInput, NotAllowed,
    TransitionRefused once an approved effect has begun.
    """
    if choice != Choice.STOP:
        escalations.resolve(
            escalation,
            choice=choice,
            note=note,
            agent=agent,
            commit=commit,
            by=by,
            address=address,
        )
        return
    escalations.check_stop(escalation, note=note, agent=agent, commit=commit, by=by)
    try:
        _stop(escalation, note=note.strip(), by=by, address=address)
    except TransitionRefused as error:
        raise (escalations.explain(escalation) or error) from error


def _stop(escalation: Escalation, *, note: str, by: User, address: str | None) -> None:
    with transaction.atomic():
        reason = note or "Stopped by a person who was asked."
        stopping.stop_task(escalation.task, by=by, reason=reason, address=address)
        escalation.refresh_from_db()
        if escalation.choice != Choice.STOP:  # answered while this waited for the rows
            raise TransitionRefused
        escalations.record(escalation, by=by, address=address)
