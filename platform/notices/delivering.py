"""Carries one delivery out: takes it, looks whether it is still wanted, sends it, notes what came of it."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from notices import choosing, mail, recipients, webhooks
from notices.lifecycle import OPEN, DeliveryState
from notices.lockbox import Unreadable
from notices.mail import NeverTaken
from notices.models import Delivery, Hours, Webhook
from notices.posting import NotTaken
from notices.targets import Refused
from projects import access, audit
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from projects.models import User

logger = logging.getLogger(__name__)

# Seconds between two tries, as Standard Webhooks suggests; then it is given up.
WAITS = (5, 30, 300, 1_800, 7_200, 18_000, 36_000)
MOST = len(WAITS) + 1
SPREAD = 0.2  # of a wait, at random: what failed together does not come back together
# Longer than a post takes. A mail server that answers each word late takes longer: what it took is
# then sent again, under the same id.
LEASE = timedelta(seconds=60)
GONE = 410
AWAY = frozenset({408, 429, 500, 502, 503, 504})


def due(limit: int) -> list[Delivery]:
    """Return what may be sent now: of each receiver the one that has waited longest.

    A receiver that is away, whatever waits for it, keeps nobody else's from being found.
    """
    rows = Delivery.objects.filter(state__in=OPEN, next_at__lte=Now())
    first = rows.order_by("webhook_id", "person_id", "next_at", "id")
    one_each = first.distinct("webhook_id", "person_id").values("pk")
    found = Delivery.objects.filter(pk__in=one_each).order_by("next_at", "id")
    return list(found.only("webhook_id", "person_id")[:limit])


def carry_out(key: uuid.UUID) -> None:
    """Send one delivery and note what came of it.

    Two at once: one of them sends. After a crash it is sent again, under the same id, when the lease
    is over; after a fault of ours as after a failure.
    """
    delivery = _take(key)
    if delivery is None:
        return
    try:
        _survive(delivery)
    except TransitionRefused as error:
        logger.info("another try noted what came of it: %s", error)


def _survive(delivery: Delivery) -> None:
    try:
        _carry_out(delivery)
    except TransitionRefused:
        raise
    except Exception:
        logger.exception("delivery %s could not be carried out", delivery.pk)
        if delivery.state == DeliveryState.SENDING:  # else it is noted already what came of it
            _fail(delivery, _OURS, status=None, away=False)


_OURS = "Countersign could not carry this out; its log says why."


def _take(key: uuid.UUID) -> Delivery | None:
    rows = Delivery.objects.filter(pk=key, state__in=OPEN, next_at__lte=Now())
    taken = {
        "state": DeliveryState.SENDING,
        "attempts": F("attempts") + 1,
        "next_at": Now() + LEASE,
    }
    if not rows.update(**taken):
        return None
    found = Delivery.objects.select_related("notice__project", "notice__task", "person", "webhook")
    return found.defer("notice__task__request", "notice__task__context").get(pk=key)


def _carry_out(delivery: Delivery) -> None:
    if why := _why_not(delivery):
        delivery.move(DeliveryState.WITHDRAWN, error=why)
        return
    if later := _later(delivery):
        # Nothing was tried: it does not count.
        delivery.move(DeliveryState.WAITING, next_at=later, attempts=delivery.attempts - 1)
        return
    try:
        if delivery.webhook_id:
            _note_answer(delivery, webhooks.send(delivery).status)
        else:
            mail.send(delivery)
            delivery.move(DeliveryState.SENT, error="")
    except (NeverTaken, Refused, Unreadable) as error:
        delivery.move(DeliveryState.GIVEN_UP, error=_short(error))
    except NotTaken as error:
        _fail(delivery, _short(error), status=None, away=True)


def _why_not(delivery: Delivery) -> str:
    """Return why it is no longer wanted: rights and choices count when it leaves."""
    if webhook := delivery.webhook:
        return _why_no_hook(delivery, webhook)
    person, notice = delivery.person, delivery.notice
    if person is None or access.role_of(person, notice.project) is None:
        return "The person is no longer a member of the project."
    if not choosing.email_is_on():
        return "This installation sends no e-mail any more."
    if not person.email:
        return "The person has no e-mail address."
    wishes = choosing.Wishes.of([person.pk], notice.project_id)
    if not wishes.wish(person.pk, notice.project_id, notice.kind).email:
        return "The person does not want this by e-mail any more."
    return _why_moot(delivery, person)


def _why_no_hook(delivery: Delivery, webhook: Webhook) -> str:
    if webhook.project_id != delivery.notice.project_id:
        return "The webhook belongs to another project."
    return "" if webhook.enabled else "The webhook is switched off."


def _why_moot(delivery: Delivery, person: User) -> str:
    asked = delivery.notice.asks
    if asked is None or recipients.may_still_sign(asked, person):
        return ""
    return "It is no longer this person's to decide."


def _later(delivery: Delivery) -> datetime | None:
    """Return when it may leave, if the person's quiet hours are not over."""
    if delivery.person_id is None:
        return None
    hours = Hours.objects.filter(person=delivery.person_id).first()
    now = timezone.now()
    at = recipients.may_leave(delivery.notice, hours, now)
    return at if at > now else None


def _note_answer(delivery: Delivery, status: int) -> None:
    if 200 <= status < 300:
        delivery.move(DeliveryState.SENT, status=status, error="")
        _release(delivery)
    elif status == GONE and delivery.webhook:
        _switch_off(delivery, delivery.webhook)
    else:
        said = f"It answered {status}."
        _fail(delivery, said, status=status, away=status in AWAY)


@transaction.atomic
def _switch_off(delivery: Delivery, hook: Webhook) -> None:
    """Give up, and ask a receiver that is gone no more: unless its address was changed meanwhile."""
    there = Webhook.objects.filter(pk=hook.pk, address=hook.address, enabled=True)
    off = there.update(enabled=False)
    error = f"{_GONE}{': the webhook was switched off' if off else ''}."
    delivery.move(DeliveryState.GIVEN_UP, status=GONE, error=error)
    if off:
        audit.record("webhook.switched_off", subject=hook, actor=None, project=hook.project)


_GONE = "It answered 410, gone"


def _fail(delivery: Delivery, error: str, *, status: int | None, away: bool) -> None:
    """Note a failure; when the receiver is away, what else waits for it waits too."""
    if delivery.attempts >= MOST:
        delivery.move(DeliveryState.GIVEN_UP, status=status, error=error)
        return
    wait = WAITS[delivery.attempts - 1] * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  # spreads load
    again = timezone.now() + timedelta(seconds=wait)
    delivery.move(DeliveryState.WAITING, status=status, error=error, next_at=again)
    if away and delivery.webhook_id:
        others = Delivery.objects.filter(webhook=delivery.webhook_id, state=DeliveryState.WAITING)
        others.filter(next_at__lt=again).update(next_at=again)


def _release(delivery: Delivery) -> None:
    """Let go what only waited because this receiver was away: it follows in the order it came."""
    others = Delivery.objects.filter(webhook=delivery.webhook_id, state=DeliveryState.WAITING)
    others.filter(attempts=0, next_at__gt=Now()).update(next_at=Now())


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 300 else f"{text[:299]}…"
