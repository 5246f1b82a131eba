"""Rows of the roof itself: how far the event log has been sent elsewhere."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class SinkCursor(models.Model):
    """The last event a sink is known to have; everything after it is sent (again)."""

    name = models.CharField(primary_key=True, max_length=20)
    target = models.CharField(
        max_length=100, blank=True, help_text="The cluster's own id; another has nothing yet."
    )
    xact = models.BigIntegerField(default=0, help_text="As in Event.xact, the first half.")
    event = models.BigIntegerField(default=0, help_text="The event's id, the second half.")
    moved_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.name} at {self.event}"
