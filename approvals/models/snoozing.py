"""What a person has put off."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from approvals.models.approvals import Approval
from approvals.models.calls import CallApproval
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet

if TYPE_CHECKING:
    from uuid import UUID


class _PutOff(models.Model):
    """What a person has put off until a moment, whatever it is."""

    approval_id: UUID  # of a foreign key that each has

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    until = models.DateTimeField()
    at = models.DateTimeField(db_default=Now())

    project_path = "approval__project"

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.person}: {self.approval_id} until {self.until}"


class Snooze(_PutOff):
    """One person does not want to be asked for one approval before a moment; others are."""

    approval = models.ForeignKey(Approval, models.CASCADE, related_name="snoozes", db_index=False)
    main_moves = models.BooleanField(
        default=False, db_default=False, help_text="It ends when main moves, if that is earlier."
    )

    objects: ClassVar[ScopedQuerySet[Snooze]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "approval"], name="one_snooze_per_person"),
            models.CheckConstraint(
                condition=models.Q(until__gt=models.F("at")), name="snooze_ends_later"
            ),
        ]
        indexes = [
            # Read each time somebody looks where main is.
            models.Index(
                fields=["until"],
                name="snoozed_until_main_moves",
                condition=models.Q(main_moves=True),
            ),
        ]


class CallSnooze(_PutOff):
    """The same of a call."""

    approval = models.ForeignKey(
        CallApproval, models.CASCADE, related_name="snoozes", db_index=False
    )

    objects: ClassVar[ScopedQuerySet[CallSnooze]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "approval"], name="one_call_snooze_per_person"
            ),
            models.CheckConstraint(
                condition=models.Q(until__gt=models.F("at")), name="call_snooze_ends_later"
            ),
        ]
