"""What the aggregator puts up for signature: change set or report, with claims and evidence."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.lifecycle import Verdict
from agents.models.steps import Attempt, Step
from agents.models.tasks import Task
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class ProposalKind(models.TextChoices):
    """What would be carried out."""

    CHANGE = "change", "Change"  # effect git.merge
    REPORT = "report", "Report"  # effect deliver


class RaisedTo(models.TextChoices):
    """How grave a model says the change is; what we find ourselves may be graver."""

    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


class Proposal(models.Model):
    """One reviewable whole. Never changed after it was written; a new one supersedes it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    task = models.ForeignKey(Task, models.CASCADE, related_name="proposals")
    round = models.PositiveSmallIntegerField()
    version = models.PositiveSmallIntegerField(
        default=1, help_text="Grows when main moved under a round."
    )
    kind = models.CharField(max_length=6, choices=ProposalKind)
    title = models.CharField(max_length=200)
    summary = models.TextField()
    report = models.TextField(blank=True, help_text="Markdown, untrusted; only for reports.")
    base_commit = models.CharField(
        max_length=64, blank=True, help_text="Main it would be merged onto."
    )
    head_commit = models.CharField(
        max_length=64, blank=True, help_text="The merged work of all agents."
    )
    tree = models.CharField(max_length=64, blank=True)
    added = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    checks = models.JSONField(
        default=dict,
        help_text="Our own runs on the merged tree; see agents.workspace.checks.CheckReport.",
    )
    warnings = models.JSONField(
        default=list, help_text='What a reviewer must see: [{"kind", "path", "line", "text"}].'
    )
    raised_to = models.CharField(
        max_length=6,
        choices=RaisedTo,
        blank=True,
        default="",
        db_default="",
        help_text="The least risk it has, as who put it together says.",
    )
    raised_why = models.CharField(max_length=200, blank=True, default="", db_default="")
    model = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    project_path = "task__project"
    objects: ClassVar[ScopedQuerySet[Proposal]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["task", "round", "version"]
        constraints = [
            models.UniqueConstraint(
                fields=["task", "round", "version"], name="one_proposal_per_version"
            ),
            models.CheckConstraint(
                condition=~Q(kind=ProposalKind.CHANGE)
                | (~Q(base_commit="") & ~Q(head_commit="") & ~Q(tree="")),
                name="change_names_its_commits",
            ),
            models.CheckConstraint(
                condition=Q(raised_to="", raised_why="")
                | Q(raised_to__in=RaisedTo.values) & ~Q(raised_why=""),
                name="raised_risk_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task.label} round {self.round}"

    @property
    def rehearsal(self) -> bool:
        """Tell whether no language model did the thinking."""
        return self.model == "rehearsal"


class ChangeStatus(models.TextChoices):
    """What happened to a file."""

    ADDED = "added", "added"
    MODIFIED = "modified", "modified"
    DELETED = "deleted", "deleted"
    RENAMED = "renamed", "renamed"


class FileChange(models.Model):
    """One file of a change set."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="files")
    position = models.PositiveIntegerField()
    path = models.TextField()
    old_path = models.TextField(blank=True)
    status = models.CharField(max_length=8, choices=ChangeStatus)
    old_mode = models.CharField(max_length=6, blank=True)
    new_mode = models.CharField(max_length=6, blank=True)
    old_blob = models.CharField(max_length=64, blank=True)
    new_blob = models.CharField(max_length=64, blank=True)
    binary = models.BooleanField(default=False)
    added = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)

    project_path = "proposal__task__project"
    objects: ClassVar[ScopedQuerySet[FileChange]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["proposal", "position"]
        constraints = [
            models.UniqueConstraint(fields=["proposal", "path"], name="one_change_per_file")
        ]

    def __str__(self) -> str:
        return self.path


class Hunk(models.Model):
    """One hunk of a file, with the step and attempt that wrote it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file = models.ForeignKey(FileChange, models.CASCADE, related_name="hunks")
    position = models.PositiveIntegerField()
    old_start = models.PositiveIntegerField()
    old_lines = models.PositiveIntegerField()
    new_start = models.PositiveIntegerField()
    new_lines = models.PositiveIntegerField()
    section = models.TextField(blank=True, help_text="What git prints behind the second @@.")
    text = models.TextField(help_text="The unified-diff lines, each with its marker.")
    digest = models.CharField(
        max_length=64, help_text="Of path and changed lines; equal across rounds."
    )
    colours = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="Of its lines, as `lexing` finds them; no part of a seal.",
    )
    author_step = models.ForeignKey(Step, models.PROTECT, null=True, related_name="hunks")
    author_attempt = models.ForeignKey(Attempt, models.PROTECT, null=True, related_name="hunks")

    project_path = "file__proposal__task__project"
    objects: ClassVar[ScopedQuerySet[Hunk]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["file", "position"]
        constraints = [
            models.UniqueConstraint(fields=["file", "position"], name="one_hunk_per_position")
        ]

    def __str__(self) -> str:
        return f"@@ -{self.old_start},{self.old_lines} +{self.new_start},{self.new_lines} @@"


class Claim(models.Model):
    """What an agent says of its work, and what our own check says of that."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="claims")
    position = models.PositiveSmallIntegerField()
    step = models.ForeignKey(Step, models.PROTECT, null=True, related_name="claims")
    text = models.CharField(max_length=300, help_text="The agent's words.")
    check_spec = models.JSONField(default=dict, help_text="How the agent says it can be checked.")
    verdict = models.CharField(max_length=13, choices=Verdict)
    evidence = models.CharField(max_length=500, help_text="What our check found, in one line.")

    project_path = "proposal__task__project"
    objects: ClassVar[ScopedQuerySet[Claim]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["proposal", "position"]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=Verdict.values), name="claim_verdict_known"
            )
        ]

    def __str__(self) -> str:
        return self.text
