"""Agents, their immutable versions, and the models they think with."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from projects.ids import uuid7

_SLUG = RegexValidator(r"^[a-z0-9][a-z0-9-]*\Z", "Use lower-case letters, digits and hyphens.")


class ModelProfile(models.Model):
    """A named model choice, e.g. `fast` or `strong`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=60, unique=True, validators=[_SLUG])
    model = models.CharField(
        max_length=200,
        blank=True,
        help_text="provider:name, e.g. openai:gpt-5 or anthropic:claude-sonnet-4-5. "
        "Empty: what COUNTERSIGN_MODEL says.",
    )
    fallbacks = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="Tried in order when the model is unreachable or overloaded.",
    )
    base_url = models.URLField(
        blank=True, help_text="An OpenAI-compatible server. Empty: the provider's own."
    )
    max_output_tokens = models.PositiveIntegerField(default=8_000)
    temperature = models.FloatField(null=True, blank=True)
    timeout_seconds = models.PositiveIntegerField(default=120)
    usd_per_million_input = models.DecimalField(
        max_digits=10, decimal_places=4, null=True, blank=True
    )
    usd_per_million_output = models.DecimalField(
        max_digits=10, decimal_places=4, null=True, blank=True
    )

    def __str__(self) -> str:
        return self.slug


class AgentRole(models.TextChoices):
    """Which part of the pipeline an agent plays."""

    ROUTER = "router", "Router"  # turns a request into a plan
    SPECIALIST = "specialist", "Specialist"  # does steps of a plan
    AGGREGATOR = "aggregator", "Aggregator"  # makes one proposal of their work


class Agent(models.Model):
    """Who does steps. What it does is in its versions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=60, unique=True, validators=[_SLUG])
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=10, choices=AgentRole, default=AgentRole.SPECIALIST)
    description = models.CharField(
        max_length=400, help_text="What it is good at; the router chooses by this sentence."
    )
    colour = models.CharField(
        max_length=10,
        default="agent-6",
        help_text="Token of its square: a-router, a-code, a-test, a-docs, a-agg, agent-6, agent-7, agent-8.",
    )
    icon = models.CharField(max_length=30, default="bot")
    enabled = models.BooleanField(default=True)
    max_in_flight = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Steps of this agent at once, over all workers. Empty: no limit of its own.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(condition=Q(role__in=AgentRole.values), name="agent_role_known")
        ]

    def __str__(self) -> str:
        return self.name

    def published(self) -> AgentVersion | None:
        """Return the version new tasks get."""
        return self.versions.filter(published_at__isnull=False).order_by("-number").first()


class AgentVersionQuerySet(models.QuerySet["AgentVersion"]):
    """Versions as new steps get them."""

    def in_use(self, role: str) -> AgentVersionQuerySet:
        """Keep the newest published version of each enabled agent of a role, with its agent."""
        found = self.filter(published_at__isnull=False, agent__enabled=True, agent__role=role)
        newest = found.select_related("agent").order_by("agent__slug", "-number")
        return newest.distinct("agent__slug")


class AgentVersion(models.Model):
    """Instructions, model and limits of an agent; immutable once published (a trigger holds it)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    instructions = models.TextField()
    model_profile = models.ForeignKey(ModelProfile, models.PROTECT, related_name="agent_versions")
    max_turns = models.PositiveSmallIntegerField(default=5)
    max_tool_calls = models.PositiveSmallIntegerField(default=60)
    max_tokens = models.PositiveIntegerField(default=150_000)
    max_usd = models.DecimalField(
        max_digits=10,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="Money of one attempt. Empty: the task's limit alone.",
    )
    max_seconds = models.PositiveIntegerField(default=600, help_text="Wall clock of one attempt.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False
    )

    objects: ClassVar[AgentVersionQuerySet] = AgentVersionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["agent", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "number"], name="one_version_per_number"),
            models.CheckConstraint(
                condition=Q(max_turns__gte=2), name="a_turn_to_act_and_one_to_report"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent.slug} v{self.number}"
