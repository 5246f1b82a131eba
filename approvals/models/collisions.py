"""Which changes cannot both land as they are."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from approvals.models.approvals import Approval
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class Collision(models.Model):
    """Two sealed changes of one project that change the same lines; written once, never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The older of the two; found by the constraint that begins with it.
    one = models.ForeignKey(Approval, models.CASCADE, related_name="+", db_index=False)
    other = models.ForeignKey(Approval, models.CASCADE, related_name="+")
    paths = ArrayField(models.TextField(), help_text="Files both change in the same lines.")
    found_at = models.DateTimeField(db_default=Now(), editable=False)

    project_path = "one__project"
    objects: ClassVar[ScopedQuerySet[Collision]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["one", "other"], name="one_collision_per_pair"),
            models.CheckConstraint(
                condition=models.Q(one__lt=models.F("other")), name="collision_names_older_first"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.one_id} and {self.other_id}"
