"""What reviewers say of a change: of a line, a hunk or the whole."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models import Agent, Hunk
from approvals.models.approvals import Approval
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class HunkVerdict(models.TextChoices):
    """What a reviewer says of one hunk."""

    ACCEPT = "accept", "Accept"
    REFUSE = "refuse", "Refuse"


class Side(models.TextChoices):
    """Which of the two texts of a diff a line belongs to."""

    OLD = "old", "as it was"
    NEW = "new", "as proposed"


MAX_QUOTE = 400  # characters of a line that are quoted where it is gone


class Comment(models.Model):
    """A reviewer's word on a line, a hunk or the whole, with the agent it goes to."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(Approval, models.PROTECT, related_name="comments")
    hunk = models.ForeignKey(Hunk, models.PROTECT, null=True, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="comments")
    verdict = models.CharField(max_length=6, choices=HunkVerdict, blank=True)
    note = models.TextField(blank=True)
    goes_to = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="comments")
    side = models.CharField(max_length=3, choices=Side, blank=True, default="", db_default="")
    line = models.PositiveIntegerField(null=True, help_text="Of that side; none: on all of it.")
    anchor = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="SHA-256 of the line."
    )
    quote = models.CharField(
        max_length=MAX_QUOTE, blank=True, default="", db_default="", help_text="How it begins."
    )
    created_at = models.DateTimeField(db_default=Now())

    project_path = "approval__project"
    objects: ClassVar[ScopedQuerySet[Comment]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(side="", line__isnull=True, anchor="", quote="")
                | Q(
                    side__in=Side.values,
                    line__isnull=False,  # else: unknown, which a CHECK lets pass
                    line__gt=0,
                    anchor__regex="^[0-9a-f]{64}$",
                    hunk__isnull=False,
                ),
                name="comment_on_a_line_names_it",
            )
        ]

    def __str__(self) -> str:
        return self.note[:80]
