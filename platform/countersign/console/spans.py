"""For how long pages offer to put something off, by the clock on the wall of who looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from approvals import deadlines, snoozing
from notices import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from approvals.models import Approval
    from approvals.rights import Decidable
    from approvals.snoozing import Offer
    from projects.models import User


def offered(approval: Decidable, clock: tzinfo, ends: datetime) -> list[Offer]:
    """Return the spans one may be put off for that `ends` then, by this clock."""
    merges = snoozing.merges(approval)
    return snoozing.offers(ends, timezone.now(), clock=clock, merges=merges)


def offered_of_all(waiting: Sequence[Approval], user: User) -> list[Offer]:
    """Return the spans each of them may be put off for."""
    ends, now, clock = deadlines.ends_of(waiting), timezone.now(), quiet.clock_of(user)
    of_each = [
        snoozing.offers(ends[each.pk], now, clock=clock, merges=snoozing.merges(each))
        for each in waiting
        if each.pk in ends
    ]
    first, *others = of_each or [[]]
    return [offer for offer in first if all(offer in each for each in others)]
