"""Who holds what waits for a signature or a permission."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from approvals.models.approvals import Approval
from approvals.models.calls import CallApproval
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet


class Assignment(models.Model):
    """One person sees to one approval: routing, not a right, for others may still sign it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(
        Approval, models.CASCADE, related_name="assignments", db_index=False
    )
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(db_default=Now())
    alone_until = models.DateTimeField(
        null=True,
        help_text="Until then, later by the time of holds, nobody else is asked; empty: others must "
        "sign too, or it is over.",
    )

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Assignment]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["approval"], name="one_holder_per_approval"),
        ]
        indexes = [
            # Read by the inbox and its counter: what is left out of them, once for a statement.
            models.Index(
                fields=["project", "alone_until"],
                include=["approval", "holder"],
                name="assignment_alone",
                condition=Q(alone_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.holder} holds {self.approval_id}"


class CallAssignment(models.Model):
    """The same of a call."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(
        CallApproval, models.CASCADE, related_name="assignments", db_index=False
    )
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(db_default=Now())
    alone_until = models.DateTimeField(
        null=True, help_text="As of an assignment of what waits for a signature."
    )

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[CallAssignment]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["approval"], name="one_holder_per_call"),
        ]
        indexes = [
            # Read by the inbox and its counter, as that of assignments.
            models.Index(
                fields=["project", "alone_until"],
                include=["approval", "holder"],
                name="call_assignment_alone",
                condition=Q(alone_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.holder} holds {self.approval_id}"
