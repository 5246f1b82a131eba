"""Tool servers, their pinned tools, and which agent may use which."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models.agents import _SLUG, Agent
from projects.ids import uuid7


class Transport(models.TextChoices):
    """How a tool server is reached."""

    BUNDLED = "bundled", "Bundled"  # ships with Countersign, scoped to one workspace
    STDIO = "stdio", "stdio"  # a command from the admin's allow-list
    HTTP = "http", "Streamable HTTP"


class ToolServer(models.Model):
    """An MCP server."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=60, unique=True, validators=[_SLUG])
    name = models.CharField(max_length=80)
    transport = models.CharField(max_length=8, choices=Transport)
    target = models.CharField(
        max_length=500,
        blank=True,
        help_text="The URL (HTTP) or the key of an allow-listed command (stdio).",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                condition=Q(transport__in=Transport.values), name="transport_known"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Asks(models.TextChoices):
    """When a call of a tool outside waits for a person's permission."""

    WRITES = "writes", "Unless it only reads"
    ALWAYS = "always", "Always"
    NEVER = "never", "Never"


class Tool(models.Model):
    """One tool of a server, pinned by the digest of its definition."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    server = models.ForeignKey(ToolServer, models.CASCADE, related_name="tools")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    input_schema = models.JSONField(default=dict)
    read_only = models.BooleanField(default=False)
    idempotent = models.BooleanField(default=False)
    definition_digest = models.CharField(max_length=64, editable=False)
    enabled = models.BooleanField(
        default=True,
        help_text="A tool whose definition changed is off until an admin switches it on.",
    )
    asks = models.CharField(
        "asks first",
        max_length=6,
        choices=Asks,
        default=Asks.WRITES,
        db_default=Asks.WRITES,
        help_text="When a call waits for a tech lead's permission. Bundled tools never ask.",
    )

    class Meta:
        ordering = ["server", "name"]
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="one_tool_per_name"),
            models.CheckConstraint(condition=Q(asks__in=Asks.values), name="tool_asks_known"),
        ]

    def __str__(self) -> str:
        return f"{self.server.slug}: {self.name}"

    @property
    def needs_permission(self) -> bool:
        """Tell whether each call waits for a person; `server` is loaded."""
        if self.server.transport == Transport.BUNDLED or self.asks == Asks.NEVER:
            return False
        return self.asks == Asks.ALWAYS or not self.read_only


class Grant(models.Model):
    """The permission of one agent to use one tool, optionally only on some paths."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="grants")
    tool = models.ForeignKey(Tool, models.CASCADE, related_name="grants")
    paths = ArrayField(
        models.CharField(max_length=300),
        default=list,
        blank=True,
        help_text="Globs a write must match, e.g. docs/** or *.md; one that begins with ! refuses what it "
        "matches, e.g. !tests/**. Empty: any path of the workspace.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "tool"], name="one_grant_per_tool")]

    def __str__(self) -> str:
        return f"{self.agent.slug} may use {self.tool}"
