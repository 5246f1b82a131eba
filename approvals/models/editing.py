"""What people edited themselves before they approved it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models import Step
from approvals.models.approvals import Approval
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class Edit(models.Model):
    """One person's edit of one file of what was sealed; it ended that approval. Never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.OneToOneField(Approval, models.PROTECT, related_name="edit")
    step = models.OneToOneField(Step, models.PROTECT, related_name="+")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    path = models.TextField()
    head_commit = models.CharField(max_length=64, help_text="What was sealed.")
    result_commit = models.CharField(max_length=64, help_text="The edit, on top of it.")
    at = models.DateTimeField(db_default=Now())

    project_path = "approval__project"
    objects: ClassVar[ScopedQuerySet[Edit]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(head_commit=models.F("result_commit")), name="edit_changes_something"
            ),
            models.CheckConstraint(condition=~Q(path=""), name="edit_names_its_file"),
        ]

    def __str__(self) -> str:
        return f"{self.person} edited {self.path}"
