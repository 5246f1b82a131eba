"""People, projects, membership, API tokens and the audit log."""

from __future__ import annotations

import shlex
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from projects.characters import strip
from projects.ids import uuid7
from projects.scoping import ScopedQuerySet


class User(AbstractUser):
    """A person who asks, decides or administers."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    theme = models.CharField(
        max_length=5,
        blank=True,
        choices=[("light", "Light"), ("dark", "Dark")],
        help_text="Empty follows the device.",
    )
    single_keys = models.BooleanField(
        default=True,
        help_text="Single-key shortcuts in the console (WCAG 2.1.4 lets people turn them off).",
    )

    @property
    def display_name(self) -> str:
        """The name shown beside what this person did."""
        return self.get_full_name() or self.username

    @property
    def initials(self) -> str:
        """Two letters for the person badge."""
        words = strip(self.display_name).split() or ["?"]
        return (words[0][:1] + (words[-1][:1] if len(words) > 1 else words[0][1:2])).upper()


class Project(models.Model):
    """A repository with its members and policies; the hard boundary of visibility."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(
        max_length=60,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z0-9][a-z0-9-]*\Z", "Use lower-case letters, digits and hyphens.")
        ],
    )
    name = models.CharField(max_length=120)
    repository = models.CharField(
        max_length=500, help_text="A local bare or working repository, or a remote URL."
    )
    main_branch = models.CharField(max_length=200, default="main")
    checks_command = models.CharField(
        max_length=500,
        blank=True,
        help_text="Run in the sandbox on every proposal, e.g. python -m pytest -q.",
    )
    allow_rlimits_only = models.BooleanField(
        default=False,
        help_text="Where no sandbox is usable, run checks under resource limits only. Every run says so.",
    )
    single_person = models.BooleanField(
        default=False,
        help_text="Let the requester sign. Only for an installation of one person; shown on every review.",
    )
    memory_enabled = models.BooleanField(default=True)
    bundled = models.BooleanField(
        default=False, editable=False, help_text="The demo repository that comes with Countersign."
    )
    limits = models.JSONField(default=dict, blank=True, help_text="Overrides of the task limits.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    project_path = ""
    objects: ClassVar[ScopedQuerySet[Project]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        """Refuse a command that no shell could read: its checks would fail on every proposal."""
        try:
            shlex.split(self.checks_command)
        except ValueError as error:
            said = f"No shell can read this command: {str(error).lower()}."
            raise ValidationError({"checks_command": said}) from error


class Role(models.TextChoices):
    """What a member may do in a project."""

    REQUESTER = "requester", "Requester"  # hands over work and watches it
    LEAD = "lead", "Tech lead"  # also signs other people's work


class Membership(models.Model):
    """One person's role in one project."""

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Membership]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "project"], name="one_role_per_member"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


class Quota(models.Model):
    """How much work one person, or all people of one project, may hand over in an hour."""

    user = models.OneToOneField(User, models.CASCADE, null=True, blank=True, related_name="quota")
    project = models.OneToOneField(
        Project, models.CASCADE, null=True, blank=True, related_name="quota"
    )
    hourly = models.PositiveIntegerField(
        "tasks an hour",
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="Tasks accepted within any 60 minutes; more is refused until one leaves the hour.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, project__isnull=True)
                | Q(user__isnull=True, project__isnull=False),
                name="quota_of_a_person_or_a_project",
            ),
            models.CheckConstraint(condition=Q(hourly__gt=0), name="quota_lets_something_in"),
        ]

    def __str__(self) -> str:
        return f"{self.hourly} tasks an hour"


class ApiToken(models.Model):
    """A hashed, scoped, expiring bearer token `cs_<key>_<secret>`; it never decides an approval."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="api_tokens")
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        null=True,
        blank=True,
        help_text="Empty: every project of the person.",
    )
    name = models.CharField(max_length=80)
    key = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the secret.")
    scopes = ArrayField(models.CharField(max_length=40), default=list)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} (cs_{self.key}_…)"


class AuditEntry(models.Model):
    """One state-changing act, chained by digest to the one before it; never changed."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor = models.ForeignKey(User, models.PROTECT, null=True, related_name="audit_entries")
    actor_label = models.CharField(max_length=150, help_text="Kept when the person is forgotten.")
    address = models.GenericIPAddressField(null=True)
    project = models.ForeignKey(Project, models.PROTECT, null=True, related_name="audit_entries")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    detail = models.JSONField(default=dict)
    previous_digest = models.CharField(max_length=64, unique=True)
    digest = models.CharField(max_length=64, unique=True)

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[AuditEntry]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        constraints = [
            models.CheckConstraint(
                condition=~Q(digest=F("previous_digest")), name="audit_chain_moves_on"
            ),
        ]
        # Read before anything is carried out.
        indexes = [models.Index(fields=["object_id"], name="audit_of_object")]

    def __str__(self) -> str:
        return f"{self.actor_label} {self.action} {self.object_type} {self.object_id}"
