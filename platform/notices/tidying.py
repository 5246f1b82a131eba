"""Forgets what nobody looks for any more, and gives up what nobody took."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from notices.lifecycle import OPEN, DeliveryState
from notices.models import Delivery, Notice
from projects.exceptions import TransitionRefused

KEPT = timedelta(days=90)
LATEST = timedelta(days=3)  # a message that has waited this long is no news any more
_AT_ONCE = 1_000


def forget_old() -> int:
    """Remove notices of more than 90 days with their lines and deliveries; return how many.

    What is still on its way stays.
    """
    count = removed = _forget_some()
    while removed == _AT_ONCE:
        removed = _forget_some()
        count += removed
    return count


def give_up_late() -> int:
    """Give up what has waited for three days, whatever its receiver is; return how many.

    What a receiver that is away never came to be tried for ends here; an admin can send it again.
    """
    before = timezone.now() - LATEST
    late = Delivery.objects.filter(state=DeliveryState.WAITING, waits_since__lt=before)
    return sum(map(_give_up, late.only("state", "attempts").iterator(_AT_ONCE)))


def _give_up(delivery: Delivery) -> bool:
    try:
        delivery.move(DeliveryState.GIVEN_UP, error=_LATE)
    except TransitionRefused:
        return False  # it is being sent this moment
    return True


_LATE = "It waited for three days."


def _forget_some() -> int:
    old = timezone.now() - KEPT
    busy = Delivery.objects.filter(state__in=OPEN).values("notice")
    keys = list(
        Notice.objects.filter(at__lt=old)
        .exclude(pk__in=busy)
        .order_by("id")
        .values_list("pk", flat=True)[:_AT_ONCE]
    )
    Notice.objects.filter(pk__in=keys).delete()
    return len(keys)
