"""The delivery log: one row for each message to each receiver."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from notices.lifecycle import DELIVERY_MOVES, OPEN, TERMINAL, DeliveryState
from notices.models.channels import Webhook
from notices.models.notices import Notice
from projects import transitions
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class Delivery(models.Model):
    """One notice on its way to one webhook, or by e-mail to one person; its id is the message's."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    notice = models.ForeignKey(Notice, models.CASCADE, related_name="deliveries", db_index=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+"
    )
    # Its index is the one below, which begins with it.
    webhook = models.ForeignKey(
        Webhook, models.CASCADE, null=True, related_name="deliveries", db_index=False
    )
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now(), help_text="Not before; a lease while sent.")
    status = models.PositiveSmallIntegerField(null=True, help_text="The last HTTP answer.")
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    waits_since = models.DateTimeField(
        db_default=Now(), editable=False, help_text="Created, or sent again by an admin."
    )
    finished_at = models.DateTimeField(null=True)

    project_path = "notice__project"
    objects: ClassVar[ScopedQuerySet[Delivery]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="delivery_state_known"
            ),
            models.CheckConstraint(
                condition=Q(person__isnull=True, webhook__isnull=False)
                | Q(person__isnull=False, webhook__isnull=True),
                name="delivery_has_one_receiver",
            ),
            models.CheckConstraint(
                condition=Q(state__in=TERMINAL, finished_at__isnull=False)
                | (Q(state__in=OPEN) & Q(finished_at__isnull=True)),
                name="delivery_finished_at_iff_over",
            ),
            models.UniqueConstraint(fields=["notice", "person"], name="one_email_per_person"),
            models.UniqueConstraint(fields=["notice", "webhook"], name="one_message_per_webhook"),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state__in=OPEN), name="delivery_due"),
            # Read by the log of one webhook, the newest first.
            models.Index(
                fields=["webhook", "id"],
                condition=Q(webhook__isnull=False),
                name="delivery_of_webhook",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}"

    @property
    def receiver(self) -> Any:
        """Who gets it: the key of a webhook or a person."""
        return self.webhook_id or self.person_id

    def move(self, to: str, **facts: Any) -> None:
        """Change the state while this try holds it; raises TransitionRefused when another does."""
        if to in TERMINAL:
            facts["finished_at"] = Now()
        guard = {"attempts": self.attempts}
        transitions.move(self, to, moves=DELIVERY_MOVES, guard=guard, **facts)
