"""Putting off what waits for a signature or a permission: for one person, for a while, never past its deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from approvals import acts, deadlines, rights
from approvals.deadlines import database_now
from approvals.exceptions import DecisionConflict
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import Approval, CallApproval, CallSnooze, Snooze
from projects.exceptions import InvalidInput, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from approvals.rights import Decidable
    from projects.models import User

SPARE = timedelta(hours=1)  # it is back so long before its deadline
SPANS = {
    "hour": ("For 1 hour", timedelta(hours=1)),
    "hours": ("For 4 hours", timedelta(hours=4)),
    "day": ("For 1 day", timedelta(days=1)),
    "due": ("Until 1 hour before it is due", timedelta.max),
}


@dataclass(frozen=True, kw_only=True)
class Offer:
    """For how long one may be put off, as a form asks for it."""

    key: str
    words: str


def latest(approval: Decidable) -> datetime:
    """Return the moment at which it is back in any case, by what holds and extensions added."""
    return deadlines.end_of(approval) - SPARE


def offers(ends: datetime, now: datetime) -> list[Offer]:
    """Return the spans that are over in time for what `ends` then; nothing when it is due too soon."""
    left = ends - SPARE - now
    if left <= timedelta():
        return []
    fitting = [Offer(key=key, words=words) for key, (words, span) in SPANS.items() if span < left]
    return [*fitting, Offer(key="due", words=SPANS["due"][0])]


def after(approval: Decidable, key: str) -> datetime:
    """Return when a span that begins now ends; raises InvalidInput for one nobody offers."""
    if key not in SPANS:
        raise InvalidInput("for", f"Use one of {', '.join(SPANS)}.")
    return latest(approval) if key == "due" else database_now() + SPANS[key][1]


def snooze(
    approval: Decidable, *, by: User, until: datetime, address: str | None = None
) -> Snooze | CallSnooze:
    """Ask this person no more before `until`; twice: the later call counts.

    It ends an hour before the deadline at the latest. Raises NotAllowed to whom it does not wait for,
    DecisionConflict when it waits for nobody, InvalidInput when there is no time left to put it off.
    """
    if refusal := rights.why_not(approval, by):
        raise NotAllowed(refusal)
    now, end = database_now(), min(until, latest(approval))
    if end <= now:
        raise InvalidInput("until", _why_not_until(end, until, now))
    with transaction.atomic():
        _require_waiting(approval, by)
        model = _model(approval)
        row: Snooze | CallSnooze = model(approval_id=approval.pk, person=by, until=end, at=now)
        model.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["person", "approval"],
            update_fields=["until", "at"],
        )
        acts.record("snoozed", approval, by, address, until=end.isoformat())
    return row


def wake(approval: Decidable, *, by: User, address: str | None = None) -> bool:
    """Ask this person again at once; return whether it was put off."""
    with transaction.atomic():
        rows = _model(approval).objects
        asleep = rows.filter(approval=approval.pk, person=by, until__gt=Now())
        woken = bool(asleep.delete()[0])
        if woken:
            acts.record("woken", approval, by, address)
    return woken


def carry_over(sealed: Sequence[Approval]) -> None:
    """Ask nobody earlier because what they put off was merged onto main again meanwhile.

    In the transaction that seals it; `sealed` come with their proposals.
    """
    again = {each.task_id: each for each in sealed if each.proposal.version > 1}
    if not again:
        return
    now = database_now()
    asleep = Snooze.objects.filter(approval__task__in=list(again), until__gt=now)
    rows = []
    for old in asleep.select_related("approval__proposal"):
        new, before = again[old.approval.task_id], old.approval.proposal
        end = min(
            old.until, new.expires_at - SPARE
        )  # no time was added yet: it was sealed just now
        follows = (before.round, before.version + 1) == (new.proposal.round, new.proposal.version)
        if follows and end > now:
            rows.append(Snooze(approval=new, person_id=old.person_id, until=end, at=now))
    Snooze.objects.bulk_create(rows, ignore_conflicts=True)


def _model(approval: Decidable) -> type[Any]:
    return CallSnooze if isinstance(approval, CallApproval) else Snooze


def _waits(approval: Decidable, by: User) -> bool:
    if isinstance(approval, CallApproval):
        calls = CallApproval.objects.filter(pk=approval.pk, state=CallState.PENDING, free=False)
        return calls.exclude(signatures__signer=by).exists()
    pending = Approval.objects.filter(pk=approval.pk, state=ApprovalState.PENDING)
    return pending.exclude(signatures__signer=by).exists()


def _require_waiting(approval: Decidable, by: User) -> None:
    if not _waits(approval, by):
        raise DecisionConflict(
            "This does not wait for you any more, so there is nothing to put off."
        )


def _why_not_until(end: datetime, until: datetime, now: datetime) -> str:
    if until <= now:
        return "Name a moment that is still to come."
    minutes = max(0, int((end + SPARE - now).total_seconds() // 60))
    return f"It is due in {minutes} min, which is too soon to put it off."
