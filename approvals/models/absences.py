"""When people are out of office, and who stands in for them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet


class AbsenceQuerySet(models.QuerySet["Absence"]):
    """Absences, by when they are."""

    def now(self) -> AbsenceQuerySet:
        """Keep those that have begun and are not over."""
        return self.filter(begins_at__lte=Now(), ends_at__gt=Now(), ended_at=None)


class Absence(models.Model):
    """A person said that they are out of office; only its early end is ever added (a trigger holds it)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="absences")
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    at = models.DateTimeField(help_text="When it was said.")
    ended_at = models.DateTimeField(null=True, help_text="The person was back earlier.")

    objects: ClassVar[AbsenceQuerySet] = AbsenceQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("begins_at")), name="absence_ends_later"
            ),
            models.CheckConstraint(
                condition=Q(begins_at__gte=F("at")), name="absence_is_not_backdated"
            ),
        ]
        indexes = [
            # Read with every page: is this person away, and which of others are.
            models.Index(
                fields=["person", "ends_at"], name="absence_open", condition=Q(ended_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} until {self.ends_at}"

    @property
    def over_at(self) -> object:
        """The moment from which it does not count."""
        return min(self.ends_at, self.ended_at) if self.ended_at else self.ends_at


class Delegation(models.Model):
    """Who stands in for an absent person in one project; marked by the console and never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    absence = models.ForeignKey(Absence, models.PROTECT, related_name="delegations", db_index=False)
    project = models.ForeignKey(Project, models.PROTECT, related_name="+", db_index=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    delegate = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    key = models.CharField(max_length=16, help_text="Whose mark it is.")
    mark = models.CharField(max_length=88, help_text="Ed25519.")

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Delegation]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["absence", "project"], name="one_delegate_per_project"),
            models.CheckConstraint(
                condition=~Q(person=F("delegate")), name="nobody_stands_in_for_themselves"
            ),
        ]
        indexes = [models.Index(fields=["delegate", "project"], name="delegation_to")]

    def __str__(self) -> str:
        return f"{self.delegate} for {self.person} in {self.project_id}"
