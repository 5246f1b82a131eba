"""What is read beside a tool call for its page, in one statement: who decided on it, until when somebody
can, or can undo it, who sees to it, whom it can be given to, and who was reminded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F, Func, IntegerField, Q

from approvals import deadlines, presence, routing
from approvals.calls import windows
from approvals.lifecycle import CallState
from approvals.models import CallApproval, CallReminder
from countersign.console import held as holding
from countersign.console import signers
from countersign.console.inbox_rows import absent_in, by_key
from notices import quiet
from projects import together

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, tzinfo
    from uuid import UUID

    from django.db.models import QuerySet

    from approvals.models import CallAssignment, CallSignature
    from projects.models import User
    from projects.together import Found


@dataclass(frozen=True, kw_only=True)
class Beside:
    """It."""

    signatures: list[CallSignature]  # oldest first
    may: Collection[UUID] | None  # whose of them count, and for whom; None when it is over: all did
    decide_by: datetime
    clock: tzinfo  # on the wall of the person who asks
    holder: CallAssignment | None
    candidates: list[User]
    absent: dict[str, str]  # names by id of those this person stands in for here
    reminders: list[Any]  # that were told, each with how many `people`
    undo_until: datetime | None  # while its permission can be undone
    hold_until: str  # what it waits for meanwhile, if a hold keeps it from being called
    others: list[CallApproval]  # the other requests for the same call, oldest first
    later: list[CallApproval]  # of these


_COUNT = Func(F("to"), function="cardinality", output_field=IntegerField())


def read(call: CallApproval, user: User) -> Beside:
    """Read it."""
    signatures, held = call.signatures.order_by("id"), call.assignments.all()
    stands_in = presence.in_force().filter(delegate=user, project=call.project_id)
    told = call.reminders.filter(told_at__isnull=False).annotate(people=_COUNT).order_by("share")
    rows = CallApproval.objects.filter(pk=call.pk).only("pk")
    known = Q(pk__in=signatures.values("signer")) | Q(pk__in=held.values("holder"))
    lists: dict[str, QuerySet[Any]] = {
        "signatures": signatures,
        "hours": quiet.hours_of(user),
        "may": signers.who_count(call, signatures),
        "deadline": windows.with_window(deadlines.with_deadline(rows, CallReminder)),
        "others": CallApproval.objects.filter(call=call.call_id)
        .exclude(pk=call.pk)
        .only("state")
        .order_by("id"),
        "held": held,
        "people": signers.named_by(known),
        "candidates": signers.shown(routing.candidates(call)),
        "stands_in": stands_in,
        "absent": signers.people(stands_in.values("person")),
        "reminders": told.defer("to", "extends"),  # the policy says by how much
    }
    return _made(call, together.read(lists))


def _made(call: CallApproval, found: Found) -> Beside:
    people = by_key(found.rows("people"))
    for row in found.rows("signatures"):
        row.signer = people[row.signer_id]
    for row in found.rows("held"):
        row.holder = people[row.holder_id]
    waits = call.state in {CallState.PENDING, CallState.ALLOWED}
    may = {person.pk for person in found.rows("may")} if waits else None
    signers.tell_lapsed(found.rows("signatures"), may)
    now = found.rows("deadline")[0]
    return Beside(
        signatures=found.rows("signatures"),
        may=may,
        decide_by=now.until,
        clock=quiet.clock_in(next((row.zone for row in found.rows("hours")), None)),
        undo_until=now.undo_until if now.may_be_undone else None,
        hold_until=holding.until_of(now.hold_scope),
        others=found.rows("others"),
        later=[row for row in found.rows("others") if row.pk > call.pk],
        holder=found.first("held"),
        candidates=found.rows("candidates"),
        absent=absent_in(found).get(call.project_id, {}),
        reminders=found.rows("reminders"),
    )
