"""Which files of a change a person has looked at."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet


class Viewed(models.Model):
    """One person has looked at one file as it would be; it counts in each round where it is so."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(
        max_length=64, help_text="SHA-256 of the path, what it was and what it becomes."
    )
    at = models.DateTimeField(db_default=Now())

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Viewed]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "viewed files"
        constraints = [
            models.UniqueConstraint(
                fields=["person", "project", "key"], name="viewed_once_per_person"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} viewed {self.key[:12]}"
