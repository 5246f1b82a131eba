"""What an admin asks of the delivery log: to send a test, or one message again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from notices.lifecycle import DELIVERY_MOVES, DeliveryState
from notices.models import Delivery, Kind, Notice
from notices.models.notices import TEST
from projects import audit
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from notices.models import Webhook
    from projects.models import User


@transaction.atomic
def send_test(webhook: Webhook, *, by: User, address: str | None = None) -> Delivery:
    """Let a webhook be sent a message that tells of nothing; each time it is another message."""
    notice = Notice.objects.create(
        project=webhook.project, type=TEST, kind=Kind.OUTCOME, at=timezone.now()
    )
    delivery = Delivery.objects.create(notice=notice, webhook=webhook)
    audit.record(
        "webhook.tested", subject=webhook, actor=by, project=webhook.project, address=address
    )
    return delivery


@transaction.atomic
def send_again(delivery: Delivery, *, by: User, address: str | None = None) -> None:
    """Begin anew with a message that was sent or given up; it keeps its id.

    Raises TransitionRefused for one that is on its way, or is no longer needed.
    """
    if DeliveryState.WAITING not in DELIVERY_MOVES[delivery.state] or not delivery.finished_at:
        state = delivery.get_state_display().lower()
        raise TransitionRefused(f"It was not sent again. State of this message: {state}.")
    anew = {"attempts": 0, "next_at": Now(), "waits_since": Now(), "finished_at": None}
    delivery.move(DeliveryState.WAITING, **anew)
    project = delivery.notice.project
    audit.record("delivery.repeated", subject=delivery, actor=by, project=project, address=address)
