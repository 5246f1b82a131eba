"""What a tech lead allowed beforehand: calls of one tool that fit, so many, until some day."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now

from agents.models import Agent
from approvals.models.calls import CallApproval
from projects.ids import floor, uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

MAX_HITS = 1_000
LONGEST = timedelta(days=30)
_OLDEST = LONGEST + timedelta(days=1)  # keys are by the clock of a process, times by the database's
_PERSON = settings.AUTH_USER_MODEL


class Standing(models.TextChoices):
    """How a grant stands; nothing but time and rows decides it."""

    ACTIVE = "active", "In force"
    USED_UP = "used_up", "Used up"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


class StandingQuerySet(ScopedQuerySet["StandingGrant"]):
    """Standing grants, by how they stand now."""

    def in_force(self) -> Self:
        """Keep those that may still be used."""
        # None of them is older: a list that goes back by key ends there instead of at the first ever.
        recent = self.filter(pk__gt=floor(_OLDEST.total_seconds()))
        return recent.filter(revoked_at=None, expires_at__gt=Now(), hits__lt=F("max_hits"))

    def ended(self) -> Self:
        """Keep those that may not."""
        over = Q(expires_at__lte=Now()) | Q(hits__gte=F("max_hits"))
        return self.filter(Q(revoked_at__isnull=False) | over)

    def with_state(self) -> Self:
        """Return them with `state`."""
        found = Case(
            When(revoked_at__isnull=False, then=Value(Standing.REVOKED)),
            When(hits__gte=F("max_hits"), then=Value(Standing.USED_UP)),
            When(expires_at__lte=Now(), then=Value(Standing.EXPIRED)),
            default=Value(Standing.ACTIVE),
            output_field=models.CharField(),
        )
        return self.annotate(state=found)


class StandingGrant(models.Model):
    """Made with a decision on a call; only its uses are counted and its end is added (a trigger holds it)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(
        Project, models.PROTECT, related_name="standing_grants", db_index=False
    )
    agent = models.ForeignKey(
        Agent,
        models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
        help_text="Whose calls; empty: any agent's.",
    )
    server = models.CharField(max_length=60)
    tool = models.CharField(max_length=120)
    pin = models.JSONField(help_text="The tool as it was sealed with the call; any other asks.")
    patterns = models.TextField(help_text="What each argument may be, as one JSON text.")
    origin = models.OneToOneField(
        CallApproval, models.PROTECT, related_name="remembered_as", help_text="The call decided."
    )
    granted_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    max_hits = models.PositiveSmallIntegerField()
    hits = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True, help_text="Last.")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(
        _PERSON, models.PROTECT, null=True, related_name="+", db_index=False
    )
    key = models.CharField(max_length=16, help_text="Whose mark it is.")
    mark = models.CharField(max_length=88, help_text="Ed25519.")

    project_path = "project"
    objects: ClassVar[StandingQuerySet] = StandingQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(max_hits__range=(1, MAX_HITS)), name="grant_of_1_to_1000_uses"
            ),
            models.CheckConstraint(
                condition=Q(hits__lte=F("max_hits")), name="grant_used_as_often_as_allowed"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("at")) & Q(expires_at__lte=F("at") + LONGEST),
                name="grant_ends_within_30_days",
            ),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoked_by__isnull=True)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
                name="grant_revoked_by_a_person",
            ),
        ]
        indexes = [
            # Read by lists, the newest of each project first.
            models.Index(fields=["project", "-id"], name="grant_of_project"),
            # Read with every call that is sealed, and by the list of those in force.
            models.Index(
                fields=["project", "server", "tool", "expires_at"],
                name="grant_open",
                condition=Q(revoked_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool} at {self.server}: {self.hits} of {self.max_hits}"


class StandingUse(models.Model):
    """One call that a standing grant let through; never changed (a trigger holds it)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    grant = models.ForeignKey(StandingGrant, models.PROTECT, related_name="uses", db_index=False)
    approval = models.OneToOneField(CallApproval, models.PROTECT, related_name="standing_use")
    number = models.PositiveSmallIntegerField(help_text="Which of the uses it is, from 1.")
    at = models.DateTimeField(db_default=Now())

    project_path = "grant__project"
    objects: ClassVar[ScopedQuerySet[StandingUse]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["grant", "number"], name="each_use_counts_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="uses_count_from_one"),
        ]

    def __str__(self) -> str:
        return f"use {self.number} of {self.grant_id}"
