"""When people are reminded of what waits for a signature or a permission."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from approvals.models.approvals import Approval
from approvals.models.calls import CallApproval
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet

if TYPE_CHECKING:
    from uuid import UUID


class Share(models.IntegerChoices):
    """How much of the time to decide is over, in percent."""

    HALF = 50, "50 %"
    END = 100, "100 %"


class _Reminded(models.Model):
    """People are told of something that waits, whatever it is."""

    approval_id: UUID  # of a foreign key that each has

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    share = models.PositiveSmallIntegerField(choices=Share)
    due_at = models.DateTimeField(help_text="Later by the time of holds.")
    told_at = models.DateTimeField(null=True)
    to = ArrayField(models.UUIDField(), default=list, help_text="Who was told.")

    project_path = "approval__project"

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.approval_id} at {self.share} %"


class Reminder(_Reminded):
    """At one share of the time to decide people are told, once; written when it is sealed."""

    approval = models.ForeignKey(Approval, models.CASCADE, related_name="reminders", db_index=False)
    extends = models.DurationField(
        null=True, help_text="From the start, the time to decide ends so much later: it is sealed."
    )

    objects: ClassVar[ScopedQuerySet[Reminder]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["approval", "share"], name="one_reminder_per_share"),
            models.CheckConstraint(condition=Q(share__in=Share.values), name="share_known"),
            models.CheckConstraint(
                condition=Q(extends__isnull=True) | Q(share=Share.END), name="the_end_extends"
            ),
        ]
        indexes = [
            # Read by the effects worker, every two seconds.
            models.Index(fields=["due_at"], name="reminder_due", condition=Q(told_at__isnull=True)),
        ]


class CallReminder(_Reminded):
    """The same of a call."""

    approval = models.ForeignKey(
        CallApproval, models.CASCADE, related_name="reminders", db_index=False
    )
    extends = models.DurationField(null=True, help_text="As of a reminder of an approval.")

    objects: ClassVar[ScopedQuerySet[CallReminder]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["approval", "share"], name="one_call_reminder_per_share"
            ),
            models.CheckConstraint(condition=Q(share__in=Share.values), name="call_share_known"),
            models.CheckConstraint(
                condition=Q(extends__isnull=True) | Q(share=Share.END),
                name="the_end_extends_a_call",
            ),
        ]
        indexes = [
            # Read by the effects worker, every two seconds.
            models.Index(
                fields=["due_at"], name="call_reminder_due", condition=Q(told_at__isnull=True)
            ),
        ]
