"""Where notices go: a project's webhooks, and what a person wants to be told of, how and when."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from notices.models.notices import Kind
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet


class WebhookStyle(models.TextChoices):
    """What a webhook is sent."""

    STANDARD = "standard", "JSON, signed (Standard Webhooks)"
    CHAT = "chat", "Chat message (Slack and compatible)"


class Webhook(models.Model):
    """An address outside that a project's notices are posted to; set by an admin."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=80)
    style = models.CharField(max_length=8, choices=WebhookStyle, default=WebhookStyle.STANDARD)
    host = models.CharField(max_length=255, editable=False, help_text="The part that is shown.")
    # A chat webhook's address is all it takes to post there: both are kept under a key.
    address = models.TextField(editable=False, help_text="Encrypted.")
    secret = models.TextField(editable=False, blank=True, help_text="Encrypted; what signs.")
    kinds = ArrayField(models.CharField(max_length=7), default=list)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Webhook]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["project", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_webhook_per_name"),
            models.CheckConstraint(
                condition=Q(style__in=WebhookStyle.values), name="webhook_style_known"
            ),
            models.CheckConstraint(
                condition=Q(kinds__contained_by=Kind.values), name="webhook_kinds_known"
            ),
            models.CheckConstraint(
                condition=Q(style=WebhookStyle.CHAT) | ~Q(secret=""), name="webhook_can_sign"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Choice(models.Model):
    """What one person wants to be told of one kind: everywhere, or in one project instead."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    project = models.ForeignKey(
        Project, models.CASCADE, null=True, related_name="+", help_text="Empty: every project."
    )
    kind = models.CharField(max_length=7, choices=Kind)
    bell = models.BooleanField()
    email = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "kind"],
                condition=Q(project__isnull=True),
                name="one_choice_per_kind",
            ),
            models.UniqueConstraint(
                fields=["person", "project", "kind"], name="one_choice_per_project_and_kind"
            ),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="choice_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.kind} of {self.project or 'every project'}"


class Hours(models.Model):
    """When one person gets no e-mail, by the clock on their wall."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    begins = models.TimeField()
    ends = models.TimeField()
    zone = models.CharField(max_length=64)
    unless_due = models.BooleanField(
        default=False, help_text="What is due before they end is sent at once."
    )

    class Meta:
        verbose_name_plural = "hours"
        constraints = [
            models.CheckConstraint(
                condition=~Q(begins=models.F("ends")), name="quiet_hours_end_at_another_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.begins:%H:%M} to {self.ends:%H:%M} {self.zone}"
