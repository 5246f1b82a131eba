"""Who holds what waits for a signature or a permission."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from approvals.models.approvals import Approval
from approvals.models.calls import CallApproval
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

if TYPE_CHECKING:
    from uuid import UUID


class _Held(models.Model):
    """One person sees to something that waits, whatever it is."""

    approval_id: UUID  # of a foreign key that each has

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(db_default=Now())

    project_path = "project"

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.holder} holds {self.approval_id}"


class Assignment(_Held):
    """One person sees to one approval: routing, not a right, for others may still sign it."""

    approval = models.ForeignKey(
        Approval, models.CASCADE, related_name="assignments", db_index=False
    )
    alone_until = models.DateTimeField(
        null=True,
        help_text="Until then, later by the time of holds, nobody else is asked; empty: others must "
        "sign too, or it is over.",
    )

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


class CallAssignment(_Held):
    """The same of a call."""

    approval = models.ForeignKey(
        CallApproval, models.CASCADE, related_name="assignments", db_index=False
    )
    alone_until = models.DateTimeField(
        null=True, help_text="As of an assignment of what waits for a signature."
    )

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
