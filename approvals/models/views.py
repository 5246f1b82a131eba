"""Filters of the inbox that a person has named."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from projects.ids import uuid7

MOST_VIEWS = 9  # one for each key


class Sort(models.TextChoices):
    """In which order what waits is shown."""

    DUE = "due", "Due first"
    RISK = "risk", "Risk first"
    OLDEST = "oldest", "Oldest first"
    NEWEST = "newest", "Newest first"


class SavedView(models.Model):
    """One person's name for a filter and an order; the number is the key that opens it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=300, blank=True)
    sort = models.CharField(max_length=6, choices=Sort, default=Sort.DUE)
    position = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[models.Manager[SavedView]] = models.Manager()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["person", "position"], name="one_view_per_key"),
            models.UniqueConstraint(fields=["person", "name"], name="one_view_per_name"),
            models.CheckConstraint(
                condition=Q(position__range=(1, MOST_VIEWS)), name="view_has_a_key"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="view_has_a_name"),
            models.CheckConstraint(condition=Q(sort__in=Sort.values), name="view_sort_known"),
        ]

    def __str__(self) -> str:
        return self.name
