"""Policy, and the rules that ask more of some proposals."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet


class Risk(models.TextChoices):
    """How dangerous a proposal is, by our own deterministic score."""

    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"

    @property
    def rank(self) -> int:
        """Return where it stands among others; the gravest is the greatest."""
        return list(Risk).index(self)


class Remind(models.TextChoices):
    """Who is reminded when half of the time to decide is over."""

    NOBODY = "nobody", "Nobody"
    LEADS = "leads", "All tech leads who may sign"
    PEOPLE = "people", "The people named below"


class Remember(models.TextChoices):
    """Of which tools a tech lead may allow further calls beforehand, by a standing grant."""

    NONE = "none", "None"
    REPEATABLE = "repeatable", "Tools marked as only reading, or as idempotent"
    ANY = "any", "Any tool, also one whose calls cannot be taken back"


class AtExpiry(models.TextChoices):
    """What becomes of the step when nobody decided on its call in time; the call is refused."""

    GO_ON = "go_on", "The agent goes on without it"
    ASK = "ask", "A person is asked how its step goes on"


class ReadWhole(models.TextChoices):
    """From which risk on who approves has marked every file as viewed."""

    RULES = "rules", "Where a rule asks for it"
    HIGH = "high", "High risk"
    MEDIUM = "medium", "Medium and high risk"
    LOW = "low", "Any risk"


class Policy(models.Model):
    """How decisions are made in a project; a change makes a new version."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="policies")
    version = models.PositiveIntegerField(default=1)
    active = models.BooleanField(default=True)
    signatures_needed = models.PositiveSmallIntegerField(default=1)
    undo_seconds = models.PositiveIntegerField(
        default=10, help_text="0 to 300: the effect waits this long."
    )
    expires_hours = models.PositiveIntegerField(
        default=72, help_text="A pending approval ends then, undecided."
    )
    call_undo_seconds = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="0 to 300: a call of a tool waits this long after its last permission.",
    )
    call_at_expiry = models.CharField(
        "when nobody decides on a call in time",
        max_length=5,
        choices=AtExpiry,
        default=AtExpiry.GO_ON,
        db_default=AtExpiry.GO_ON,
        help_text="Nothing is called in any case. Sealed: it holds for calls that are put up from now on.",
    )
    bulk_allowed = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Low risk, reversible and green: may be approved together with others like it.",
    )
    signatures_hold = models.BooleanField(
        "when main moved in other files, signatures hold",
        default=True,
        db_default=True,
        help_text="The same change is merged onto the new main and checked; who signed it is not "
        "asked again. Sealed: it holds for what is put up from now on.",
    )
    editors_alone = models.BooleanField(
        "who edited may sign alone",
        default=False,
        db_default=False,
        help_text="Above low risk, too: nobody else need sign what somebody edited in the review.",
    )
    typed_confirmation = models.BooleanField(
        "approving high risk is typed",
        default=True,
        db_default=False,  # of versions from before: they say what was sealed under them
        help_text="Where one signature is enough, who approves types the task's label. Sealed: it "
        "holds for what is put up from now on.",
    )
    every_file_from = models.CharField(
        "every file is viewed of",
        max_length=6,
        choices=ReadWhole,
        default=ReadWhole.MEDIUM,
        db_default=ReadWhole.RULES,  # of versions from before, too
        help_text="Each who approves has marked every file as viewed. Sealed, as the above.",
    )
    remind_half = models.CharField(
        "at half of the time, remind",
        max_length=6,
        choices=Remind,
        default=Remind.LEADS,
        db_default=Remind.LEADS,
    )
    extend_hours = models.PositiveIntegerField(
        "at the end, extend by hours",
        null=True,
        blank=True,
        help_text="Once, and the people named below are told; all tech leads if there are none. "
        "Empty: it expires. Time alone never approves.",
    )
    remind_people = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        verbose_name="people to remind",
        blank=True,
        related_name="+",
    )
    standing_grants = models.CharField(
        "tools a standing grant may be for",
        max_length=10,
        choices=Remember,
        default=Remember.REPEATABLE,
        db_default=Remember.REPEATABLE,
        help_text="With it a tech lead lets further calls through that are like the one allowed.",
    )
    money_paths = ArrayField(
        models.CharField(max_length=300),
        default=list,
        blank=True,
        help_text="Globs whose change is at least medium risk, e.g. billing/**.",
    )
    protected_paths = ArrayField(
        models.CharField(max_length=300),
        default=list,
        blank=True,
        help_text="Globs whose change is high risk, e.g. .github/**.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False
    )

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Policy]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["project", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="one_policy_per_version"),
            models.UniqueConstraint(
                fields=["project"], condition=Q(active=True), name="one_active_policy_per_project"
            ),
            models.CheckConstraint(
                condition=Q(undo_seconds__lte=300), name="undo_window_up_to_300_s"
            ),
            models.CheckConstraint(
                condition=Q(call_undo_seconds__lte=300), name="call_undo_window_up_to_300_s"
            ),
            models.CheckConstraint(
                condition=Q(call_at_expiry__in=AtExpiry.values), name="call_at_expiry_known"
            ),
            models.CheckConstraint(
                condition=Q(signatures_needed__range=(1, 5)), name="1_to_5_signatures"
            ),
            models.CheckConstraint(
                condition=Q(every_file_from__in=ReadWhole.values), name="every_file_from_known"
            ),
            models.CheckConstraint(
                condition=Q(remind_half__in=Remind.values), name="reminds_somebody_known"
            ),
            models.CheckConstraint(
                condition=Q(extend_hours__isnull=True) | Q(extend_hours__range=(1, 2_160)),
                name="extends_by_1_h_to_90_days",
            ),
            models.CheckConstraint(
                condition=Q(standing_grants__in=Remember.values), name="remembers_tools_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project.slug} v{self.version}"

    @property
    def names_people(self) -> bool:
        """Whether it matters who `remind_people` are."""
        return self.remind_half == Remind.PEOPLE or bool(self.extend_hours)


class EffectKind(models.TextChoices):
    """What can be done to the outside world."""

    GIT_MERGE = "git.merge", "Merge"
    DELIVER = "deliver", "Deliver"
    MCP_CALL = "mcp.call", "Call a tool"


class PolicyRule(models.Model):
    """What a version of a policy asks besides, of what it applies to; never changed.

    It applies to proposals and to calls of tools, where the risk, a changed path, an effect and a
    called tool are among those it names; a list that is empty leaves nothing out. Of all that apply
    the strictest counts.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    policy = models.ForeignKey(Policy, models.CASCADE, related_name="rules")
    position = models.PositiveSmallIntegerField(editable=False)
    name = models.CharField(max_length=80, help_text="The review page says which rule asks.")
    risks = ArrayField(
        models.CharField(max_length=6, choices=Risk),
        default=list,
        blank=True,
        help_text="None: any risk.",
    )
    paths = ArrayField(
        models.CharField(max_length=300),
        default=list,
        blank=True,
        help_text="Globs, one per line, of which one is changed. Empty: any proposal or call.",
    )
    kinds = ArrayField(
        models.CharField(max_length=9, choices=EffectKind),
        default=list,
        blank=True,
        help_text="None: any effect.",
    )
    tools = ArrayField(
        models.CharField(max_length=300),
        default=list,
        db_default=[],
        blank=True,
        help_text="Globs of server/tool, one per line, of which one is called. Empty: any.",
    )
    signatures_needed = models.PositiveSmallIntegerField(null=True, blank=True)
    signers = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        blank=True,
        related_name="+",
        help_text="One of these tech leads must be among those who sign.",
    )
    every_file_viewed = models.BooleanField(
        default=False, help_text="Who approves has marked every file as viewed."
    )
    bulk_forbidden = models.BooleanField(
        default=False, db_default=False, help_text="Each is approved by itself, on its review page."
    )
    undo_seconds = models.PositiveIntegerField(null=True, blank=True)
    expires_hours = models.PositiveIntegerField(null=True, blank=True)

    project_path = "policy__project"
    objects: ClassVar[ScopedQuerySet[PolicyRule]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "rule"
        ordering = ["policy", "position"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "position"], name="one_rule_per_position"),
            models.CheckConstraint(condition=~Q(name=""), name="rule_has_a_name"),
            models.CheckConstraint(
                condition=Q(risks__contained_by=Risk.values), name="rule_risks_known"
            ),
            models.CheckConstraint(
                condition=Q(kinds__contained_by=EffectKind.values), name="rule_kinds_known"
            ),
            models.CheckConstraint(
                condition=Q(signatures_needed__isnull=True) | Q(signatures_needed__range=(1, 5)),
                name="rule_1_to_5_signatures",
            ),
            models.CheckConstraint(
                condition=Q(undo_seconds__isnull=True) | Q(undo_seconds__lte=300),
                name="rule_undo_up_to_300_s",
            ),
            models.CheckConstraint(
                condition=Q(expires_hours__isnull=True) | Q(expires_hours__range=(1, 2_160)),
                name="rule_expires_in_1_h_to_90_days",
            ),
        ]

    def __str__(self) -> str:
        return self.name
