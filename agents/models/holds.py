"""Holds: a person stops one task, agent, project or everything from going on, until it is lifted."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models.agents import Agent
from agents.models.tasks import Task
from projects.ids import uuid7
from projects.models import Project


class HoldScope(models.TextChoices):
    """What a hold stops."""

    TASK = "task", "One task"  # shown as "paused"
    AGENT = "agent", "One agent"
    PROJECT = "project", "One project"
    EVERYTHING = "everything", "Everything"


def _aims(scope: str, *filled: str) -> Q:
    targets = {f"{name}__isnull": name not in filled for name in ("task", "agent", "project")}
    return Q(scope=scope, **targets)


class HoldQuerySet(models.QuerySet["Hold"]):
    """Holds as they are asked for."""

    def open(self) -> HoldQuerySet:
        """Keep those nobody has lifted."""
        return self.filter(lifted_at=None)


class Hold(models.Model):
    """While it is open, no step it covers is claimed, no effect carried out, no deadline runs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    scope = models.CharField(max_length=10, choices=HoldScope)
    task = models.ForeignKey(Task, models.CASCADE, null=True, related_name="holds")
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, related_name="holds")
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        null=True,
        related_name="holds",
        help_text="Of a project's hold; a task's hold names its task alone.",
    )
    reason = models.TextField(blank=True)
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="placed_holds"
    )
    placed_at = models.DateTimeField(db_default=Now())
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="lifted_holds"
    )
    lifted_at = models.DateTimeField(null=True)

    objects: ClassVar[HoldQuerySet] = HoldQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=_aims(HoldScope.TASK, "task")
                | _aims(HoldScope.AGENT, "agent")
                | _aims(HoldScope.PROJECT, "project")
                | _aims(HoldScope.EVERYTHING),
                name="hold_aims_at_its_scope",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True, lifted_by__isnull=True)
                | Q(lifted_at__isnull=False, lifted_by__isnull=False),
                name="hold_lifted_by_somebody",
            ),
            models.UniqueConstraint(
                fields=["scope", "task", "agent", "project"],
                condition=Q(lifted_at__isnull=True),
                nulls_distinct=False,
                name="one_open_hold_each",
            ),
        ]
        indexes = [
            # Read wherever held time is added up: few are wide, of all there ever were.
            models.Index(
                fields=["scope"],
                name="hold_wide",
                condition=Q(scope__in=[HoldScope.EVERYTHING, HoldScope.AGENT]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} held by {self.placed_by}"
