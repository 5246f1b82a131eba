"""Putting off what waits for a signature or a permission: for one person, for a while, never past its deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from approvals import acts, deadlines, rights
from approvals.deadlines import database_now
from approvals.exceptions import DecisionConflict
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import (
    SEAL_OF_APPROVAL,
    Approval,
    CallApproval,
    CallSnooze,
    EffectKind,
    Snooze,
)
from projects.exceptions import InvalidInput, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from approvals.rights import Decidable
    from projects.models import Project, User

SPARE = timedelta(hours=1)  # it is back so long before its deadline
MORNING = time(9)
HOUR, TOMORROW, MAIN, HOURS, DUE = "hour", "tomorrow", "main", "hours", "due"
_LASTING = {HOUR: timedelta(hours=1), HOURS: timedelta(hours=4)}
SPANS = {
    HOUR: "For 1 hour",
    TOMORROW: f"Until tomorrow {MORNING:%-H:%M}",
    MAIN: "When main moves",
    HOURS: "For 4 hours",
    DUE: "Until 1 hour before it is due",
}


@dataclass(frozen=True, kw_only=True)
class Offer:
    """For how long one may be put off, as a form asks for it."""

    key: str
    words: str


def latest(approval: Decidable) -> datetime:
    """Return the moment at which it is back in any case, by what holds and extensions added."""
    return deadlines.end_of(approval) - SPARE


def offers(
    ends: datetime, now: datetime, *, clock: tzinfo = UTC, merges: bool = False
) -> list[Offer]:
    """Return the spans that are over in time for what `ends` then; nothing when it is due too soon.

    `clock` is that of who asks; only what `merges` hangs on main.
    """
    last = ends - SPARE
    if last <= now:
        return []
    over = {key: now + span for key, span in _LASTING.items()} | {TOMORROW: tomorrow(now, clock)}
    fitting = {key for key, moment in over.items() if moment < last} | {DUE}
    if merges:
        fitting.add(MAIN)
    words = {**SPANS, TOMORROW: f"{SPANS[TOMORROW]}, {clock}"}
    return [Offer(key=key, words=words[key]) for key in SPANS if key in fitting]


def tomorrow(now: datetime, clock: tzinfo) -> datetime:
    """Return when the next day's work begins, by this clock."""
    day = now.astimezone(clock).date() + timedelta(days=1)
    return datetime.combine(day, MORNING, tzinfo=clock).astimezone(UTC)


def merges(approval: Decidable) -> bool:
    """Tell from its seal whether it is made on main, and has to wait for where that is."""
    if isinstance(approval, CallApproval):
        return False
    return any(each["kind"] == EffectKind.GIT_MERGE for each in approval.snapshot["effects"])


def after(approval: Decidable, key: str, clock: tzinfo = UTC) -> datetime:
    """Return when a span that begins now ends, by this clock; for main: at the latest.

    Raises InvalidInput for one nobody offers.
    """
    if key not in SPANS:
        raise InvalidInput("span", f"Use one of {', '.join(SPANS)}.")
    if key == DUE:
        return latest(approval)
    now = database_now()
    if key == TOMORROW:
        return tomorrow(now, clock)
    return _escalates(approval, now) if key == MAIN else now + _LASTING[key]


def put_off(
    approval: Decidable, key: str, *, by: User, clock: tzinfo = UTC, address: str | None = None
) -> Snooze | CallSnooze:
    """Ask this person no more for one of the spans; raises as `snooze` does."""
    until = after(approval, key, clock)
    return snooze(approval, by=by, until=until, main_moves=key == MAIN, address=address)


def snooze(
    approval: Decidable,
    *,
    by: User,
    until: datetime,
    main_moves: bool = False,
    address: str | None = None,
) -> Snooze | CallSnooze:
    """Ask this person no more before `until`, or `main_moves` if that is to end it; twice: the later
    call counts.

    It ends an hour before the deadline at the latest. Raises NotAllowed to whom it does not wait for,
    DecisionConflict when it waits for nobody, InvalidInput when there is no time left to put it off,
    or it merges nothing and main is all the same to it.
    """
    if refusal := rights.why_not(approval, by):
        raise NotAllowed(refusal)
    if main_moves and not merges(approval):
        raise InvalidInput("span", "This merges nothing, so it does not wait for main.")
    now, last = database_now(), latest(approval)
    end = min(until, last)
    if end <= now:
        raise InvalidInput("until", _why_not_until(last, now))
    with transaction.atomic():
        _require_waiting(approval, by)
        model = _model(approval)
        facts: dict[str, Any] = {"until": end, "at": now}
        if model is Snooze:
            facts["main_moves"] = main_moves
        row: Snooze | CallSnooze = model(approval_id=approval.pk, person=by, **facts)
        model.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["person", "approval"],
            update_fields=list(facts),
        )
        told = {"main_moves": True} if main_moves else {}
        acts.record("snoozed", approval, by, address, until=end.isoformat(), **told)
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


def main_moved(project: Project, main: str) -> int:
    """Ask everybody again who put off until main moves what was sealed on another; return how often.

    Whoever puts it off anew in the same moment wins: a row is looked at again once it is locked.
    """
    waiting = Snooze.objects.filter(main_moves=True, until__gt=Now(), approval__project=project)
    left = waiting.exclude(approval__proposal__base_commit=main)
    if not left.exists():
        return 0
    with transaction.atomic():
        rows = left.select_for_update(of=("self",)).select_related("approval__project", "person")
        woken = list(rows.defer(*SEAL_OF_APPROVAL).order_by("pk"))
        Snooze.objects.filter(pk__in=[row.pk for row in woken]).delete()
        for row in woken:
            acts.record("woken", row.approval, None, main=main, person=row.person.username)
    return len(woken)


def carry_over(sealed: Sequence[Approval]) -> None:
    """Ask nobody earlier because what they put off was merged onto main again meanwhile, but who
    waited for just that.

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
        moved = old.main_moves and before.base_commit != new.proposal.base_commit
        if follows and end > now and not moved:
            facts = {"until": end, "main_moves": old.main_moves, "at": now}
            rows.append(Snooze(approval=new, person_id=old.person_id, **facts))
    Snooze.objects.bulk_create(rows, ignore_conflicts=True)


def _escalates(approval: Decidable, now: datetime) -> datetime:
    """Return when people are next told that its time runs out: at half of it, else before its end."""
    half = approval.requested_at + (approval.expires_at - approval.requested_at) / 2
    return half if half > now else latest(approval)


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


def _why_not_until(last: datetime, now: datetime) -> str:
    if last > now:
        return "Name a moment that is still to come."
    minutes = max(0, int((last + SPARE - now).total_seconds() // 60))
    return f"It is due in {minutes} min, which is too soon to put it off."
