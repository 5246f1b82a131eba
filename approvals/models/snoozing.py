"""What a person has put off."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from approvals.models.approvals import Approval
from approvals.models.calls import CallApproval
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class Snooze(models.Model):
    """One person does not want to be asked for one approval before a moment; others are."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(Approval, models.CASCADE, related_name="snoozes", db_index=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    until = models.DateTimeField()
    at = models.DateTimeField(db_default=Now())

    project_path = "approval__project"
    objects: ClassVar[ScopedQuerySet[Snooze]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "approval"], name="one_snooze_per_person"),
            models.CheckConstraint(
                condition=models.Q(until__gt=models.F("at")), name="snooze_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.approval_id} until {self.until}"


class CallSnooze(models.Model):
    """The same of a call."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(
        CallApproval, models.CASCADE, related_name="snoozes", db_index=False
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    until = models.DateTimeField()
    at = models.DateTimeField(db_default=Now())

    project_path = "approval__project"
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

    def __str__(self) -> str:
        return f"{self.person}: {self.approval_id} until {self.until}"
