"""Forgets what nobody looks for any more."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from notices.lifecycle import OPEN
from notices.models import Delivery, Notice

KEPT = timedelta(days=90)
_AT_ONCE = 1_000


def forget_old() -> int:
    """Remove notices of more than 90 days with their lines and deliveries; return how many.

    What is still on its way stays.
    """
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
