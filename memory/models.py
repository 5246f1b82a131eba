"""Memory and what hangs on it: embeddings, links, uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from pgvector.django import HalfVectorField

from memory.lifecycle import MemoryState
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from projects.models import User


class Kind(models.TextChoices):
    """What a memory is."""

    LESSON = "lesson", "Lesson"
    PREFERENCE = "preference", "Preference"
    FACT = "fact", "Fact"


class Source(models.TextChoices):
    """Where a memory came from; written by the platform only."""

    REVIEW_REJECT = "review_reject", "a rejection"
    REVIEW_CHANGES = "review_changes", "a request for changes"
    USER_STATED = "user_stated", "a person's own words"
    AGENT_PROPOSED = "agent_proposed", "an agent's proposal"


class MemoryQuerySet(ScopedQuerySet["Memory"]):
    """Memories as people may see them."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Keep what this person's projects share, and of private memories their own."""
        shared_or_mine = Q(owner=None) | Q(owner_id=user.pk)
        return super().visible_to(user).filter(shared_or_mine)


class Memory(models.Model):
    """One lesson, preference or fact: a single claim a person confirmed or may confirm."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Its index is one of those below, which begins with it.
    project = models.ForeignKey(Project, models.CASCADE, related_name="memories", db_index=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="memories",
        help_text="Set on a private preference; empty is shared by the project.",
    )
    agent_slug = models.CharField(max_length=60, blank=True, help_text="Empty: for every agent.")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.LESSON)
    content = models.CharField(max_length=600, help_text="One claim. Empty once forgotten.")
    text_digest = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Equal statements meet here."
    )
    subject = models.CharField(
        max_length=200, blank=True, help_text="Component, path or person it is about."
    )
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    paths = ArrayField(models.CharField(max_length=300), default=list, blank=True)
    state = models.CharField(max_length=11, choices=MemoryState, default=MemoryState.PROPOSED)
    source = models.CharField(max_length=15, choices=Source)
    source_task = models.UUIDField(null=True, editable=False)
    source_approval = models.UUIDField(null=True, editable=False)
    source_label = models.CharField(
        max_length=120, blank=True, help_text='e.g. "your reject of T-12".'
    )
    evidence = models.JSONField(default=list, blank=True)
    importance = models.PositiveSmallIntegerField(default=3)
    pinned = models.BooleanField(default=False)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="proposed_memories"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="approved_memories"
    )
    approved_at = models.DateTimeField(null=True)
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    valid_from = models.DateTimeField(db_default=Now())
    valid_to = models.DateTimeField(null=True)
    superseded_by = models.ForeignKey("self", models.SET_NULL, null=True, related_name="supersedes")
    used_count = models.PositiveIntegerField(default=0)
    helped_count = models.PositiveIntegerField(default=0)
    hurt_count = models.PositiveIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True)
    search = models.GeneratedField(
        expression=SearchVector("content", "subject", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    project_path = "project"
    objects: ClassVar[MemoryQuerySet] = MemoryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "memories"
        ordering = ["-recorded_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=MemoryState.values), name="memory_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=MemoryState.ACTIVE)
                | Q(approved_by__isnull=False, approved_at__isnull=False),
                name="active_memory_has_a_human",
            ),
            models.CheckConstraint(
                condition=Q(importance__range=(1, 5)), name="memory_importance_1_to_5"
            ),
            models.CheckConstraint(
                condition=Q(state=MemoryState.ERASED, content="", text_digest="", subject="")
                | (~Q(state=MemoryState.ERASED) & ~Q(content="")),
                name="memory_says_something_until_erased",
            ),
        ]
        indexes = [
            GinIndex(fields=["search"], name="memory_search"),
            # Read by lists, the newest of each project first.
            models.Index(
                fields=["project", "state", "-id"],
                include=["kind", "owner"],
                name="memory_in_state",
            ),
            # Read by recall: the active memories of one project.
            models.Index(fields=["project"], name="memory_active", condition=Q(state="active")),
            # Read by the page of the task people remembered it of.
            models.Index(
                fields=["source_task"],
                name="memory_of_task",
                condition=Q(source_task__isnull=False),
            ),
            # Read when a memory is proposed: is there one that says the same?
            models.Index(fields=["project", "text_digest"], name="memory_equal"),
        ]

    def __str__(self) -> str:
        return self.content[:80]


class MemoryEmbedding(models.Model):
    """A memory's vector under one embedder; several embedders may coexist."""

    memory = models.ForeignKey(Memory, models.CASCADE, related_name="embeddings")
    model_id = models.CharField(max_length=80)
    dimensions = models.PositiveSmallIntegerField()
    vector = HalfVectorField()
    built_at = models.DateTimeField(db_default=Now())

    project_path = "memory__project"
    objects: ClassVar[ScopedQuerySet[MemoryEmbedding]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["memory", "model_id"], name="one_vector_per_embedder")
        ]

    def __str__(self) -> str:
        return f"{self.model_id} of {self.memory_id}"


class LinkKind(models.TextChoices):
    """How one memory relates to another."""

    SUPERSEDES = "supersedes", "supersedes"
    DUPLICATES = "duplicates", "duplicates"
    SUPPORTS = "supports", "supports"
    CONTRADICTS = "contradicts", "contradicts"
    DERIVED_FROM = "derived_from", "is derived from"


class MemoryLink(models.Model):
    """A directed relation between two memories."""

    source = models.ForeignKey(Memory, models.CASCADE, related_name="links_out")
    target = models.ForeignKey(Memory, models.CASCADE, related_name="links_in")
    kind = models.CharField(max_length=12, choices=LinkKind)
    created_at = models.DateTimeField(db_default=Now())

    project_path = "source__project"
    objects: ClassVar[ScopedQuerySet[MemoryLink]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "target", "kind"], name="one_link_of_a_kind"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="no_link_to_itself"),
            models.CheckConstraint(
                condition=Q(kind__in=LinkKind.values), name="memory_link_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.kind} {self.target_id}"


class MemoryUse(models.Model):
    """One memory recalled for one step: the receipt that answers "why was this used"."""

    memory = models.ForeignKey(Memory, models.CASCADE, related_name="uses")
    task = models.UUIDField(help_text="Opaque here: memory knows no tasks.")
    step = models.UUIDField()
    attempt = models.PositiveIntegerField()
    agent_slug = models.CharField(max_length=60)
    rank = models.PositiveSmallIntegerField()
    score = models.FloatField()
    parts = models.JSONField(default=dict, help_text="The score's parts.")
    shown_tokens = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=Now())

    project_path = "memory__project"
    objects: ClassVar[ScopedQuerySet[MemoryUse]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["memory", "step", "attempt"], name="one_use_per_attempt"
            )
        ]
        indexes = [models.Index(fields=["task"], name="memory_use_of_task")]

    def __str__(self) -> str:
        return f"{self.memory_id} in {self.step}"
