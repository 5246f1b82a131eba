"""What happened that somebody is told of, and whom the bell told."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models import Task
from approvals.models import Approval, CallApproval
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

TEST = "test"  # the type of a notice that an admin sends to try a webhook


class Kind(models.TextChoices):
    """What people choose by."""

    ASKED = "asked", "Something waits for your signature"
    DUE = "due", "Something you may sign is due"
    STUCK = "stuck", "A task needs a person"
    OUTCOME = "outcome", "What came of what you asked for"


class LogPlace(models.Model):
    """How far the event log was read, the one row `events`."""

    name = models.CharField(primary_key=True, max_length=20, default="events")
    xact = models.BigIntegerField(help_text="As in Event.xact, the first half.")
    event = models.BigIntegerField(default=0, help_text="The event's id, the second half.")
    moved_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"read up to {self.event}"


class Notice(models.Model):
    """One event as people are told of it; holds what may leave the house and nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    task = models.ForeignKey(Task, models.CASCADE, null=True, related_name="+")
    approval = models.ForeignKey(Approval, models.CASCADE, null=True, related_name="+")
    call = models.ForeignKey(CallApproval, models.CASCADE, null=True, related_name="+")
    round = models.PositiveSmallIntegerField(null=True, help_text="Of the review page.")
    event = models.BigIntegerField(unique=True, null=True, help_text="Its id in the log.")
    type = models.CharField(max_length=30, help_text="The event's kind, as in the API.")
    kind = models.CharField(max_length=7, choices=Kind)
    facts = models.JSONField(
        default=dict, help_text="A few words of ours and names of people; never arguments."
    )
    at = models.DateTimeField()

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Notice]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="notice_kind_known"),
            models.CheckConstraint(
                condition=Q(type=TEST, task__isnull=True, event__isnull=True)
                | (~Q(type=TEST) & Q(task__isnull=False, event__isnull=False)),
                name="notice_of_an_event_or_a_test",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} at {self.at:%Y-%m-%d %H:%M}"

    @property
    def is_question(self) -> bool:
        """Tell whether this asks for a decision or reminds of one; loads nothing."""
        named = self.approval_id or self.call_id
        return named is not None and self.kind in (Kind.ASKED, Kind.DUE)

    @property
    def asks(self) -> Approval | CallApproval | None:
        """What waits for a decision, if this asks for one or reminds of it."""
        return (self.approval or self.call) if self.is_question else None


class Notification(models.Model):
    """One line under one person's bell."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    notice = models.ForeignKey(Notice, models.CASCADE, related_name="notifications", db_index=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    # Of the notice: an index of a list must begin with it.
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    read_at = models.DateTimeField(null=True)

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Notification]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["notice", "person"], name="one_line_per_person"),
        ]
        indexes = [
            models.Index(fields=["person", "project", "-id"], name="bell_newest_first"),
            models.Index(
                fields=["person", "project", "-id"],
                condition=Q(read_at__isnull=True),
                name="bell_unread",
            ),
            models.Index(fields=["project"], name="bell_of_project"),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.notice}"
