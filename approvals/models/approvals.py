"""Approval, Signature, Effect."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, F, Func, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from agents import holds
from agents.models import Proposal, Task
from approvals.lifecycle import (
    APPROVAL_MOVES,
    EFFECT_MOVES,
    ApprovalState,
    EffectState,
    SignatureVerdict,
)
from approvals.models.policies import EffectKind, Policy, Risk
from projects import transitions
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

# The template is an argument, not a class of ours: so migrations see when it changes.
_OUTLINE = Func(
    F("snapshot"),
    template="(%(expressions)s - '{files,memories,warnings}'::text[] #- '{proposal,report}')",
)
# Of the whole task, as it was sealed; and how many of these it reaches, in US dollars.
COSTS = (
    *("0.01", "0.02", "0.03", "0.05", "0.07", "0.1", "0.15", "0.2", "0.3", "0.5", "0.7", "1"),
    *("1.5", "2", "3", "5", "7", "10", "15", "20", "30", "50", "70", "100"),
)
_USD = "CAST(%(expressions)s #>> '{usage,usd}' AS numeric)"
_COST = Func(F("snapshot"), template=f"({_USD})")
_COST_CLASS = Func(
    F("snapshot"), template=f"width_bucket({_USD}, '{{{', '.join(COSTS)}}}'::numeric[])"
)
# The gravest comes first.
RANKS = {Risk.HIGH: 0, Risk.MEDIUM: 1, Risk.LOW: 2}
_RANK = Case(*(When(risk=risk, then=Value(rank)) for risk, rank in RANKS.items()))
# By which an index alone tells whether somebody may sign.
_TO_SIGN = ["task", "policy", "requester", "single_person", "requested_at"]
# What rows of a list are loaded without.
SEAL = ("snapshot", "outline")
SEAL_OF_APPROVAL = ("approval__snapshot", "approval__outline")


class Approval(models.Model):
    """The sealed request for a human decision on one proposal."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Their indexes are those below, which begin with them.
    project = models.ForeignKey(Project, models.PROTECT, related_name="approvals", db_index=False)
    task = models.ForeignKey(Task, models.PROTECT, related_name="approvals")
    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="approvals")
    policy = models.ForeignKey(Policy, models.PROTECT, related_name="approvals")
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="requested_approvals",
        db_index=False,
    )
    single_person = models.BooleanField(
        default=False, help_text="Sealed from the project: the requester may sign."
    )
    state = models.CharField(max_length=17, choices=ApprovalState, default=ApprovalState.PENDING)
    risk = models.CharField(max_length=6, choices=Risk)
    snapshot = models.JSONField(
        help_text="Everything the page shows and the executor does; sealed."
    )
    outline = models.GeneratedField(
        expression=_OUTLINE,
        output_field=models.JSONField(),
        db_persist=True,
        # To unpack the snapshot for each row of a list took a third of the list's time.
        help_text="The snapshot without its long parts; the database keeps it for lists.",
    )
    risk_rank = models.GeneratedField(
        expression=_RANK, output_field=models.SmallIntegerField(), db_persist=True
    )
    cost = models.GeneratedField(
        expression=_COST,
        output_field=models.DecimalField(max_digits=12, decimal_places=6, null=True),
        db_persist=True,
        help_text="US dollars.",
    )
    cost_class = models.GeneratedField(
        expression=_COST_CLASS,
        output_field=models.SmallIntegerField(null=True),
        db_persist=True,
        help_text="Those of about the same cost are listed together.",
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of the snapshot's canonical JSON.")
    nonce = models.CharField(max_length=64, unique=True)
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="decided_approvals",
        db_index=False,
    )
    replaced = models.BooleanField(
        default=False,
        editable=False,
        help_text="It ended undecided, and its task was put up again since.",
    )
    main_moved = models.BooleanField(
        default=False,
        editable=False,
        help_text="It is stale for that alone; else what was signed did not hold.",
    )
    reason = models.TextField(blank=True, help_text="The deciding note, or why it ended undecided.")
    follows = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        editable=False,
        related_name="follower",
        help_text="The same change on an earlier main, whose signatures hold.",
    )

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[Approval]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ApprovalState.values), name="approval_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=ApprovalState.PENDING, decided_at__isnull=True)
                | (~Q(state=ApprovalState.PENDING) & Q(decided_at__isnull=False)),
                name="approval_decided_at_iff_over",
            ),
            models.CheckConstraint(
                condition=~Q(
                    state__in=[
                        ApprovalState.APPROVED,
                        ApprovalState.CHANGES_REQUESTED,
                        ApprovalState.REJECTED,
                    ]
                )
                | Q(decided_by__isnull=False),
                name="decision_has_a_person",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True)
                | ~Q(decided_by=F("requester"))
                | Q(single_person=True),
                name="requester_never_decides",
            ),
            models.CheckConstraint(
                condition=Q(follows__isnull=True) | ~Q(follows=F("id")),
                name="approval_follows_another",
            ),
            models.UniqueConstraint(
                fields=["task"],
                condition=Q(state=ApprovalState.PENDING),
                name="one_pending_approval_per_task",
            ),
        ]
        indexes = [
            # Read by lists, the newest of each project first: all, and by state.
            models.Index(fields=["project", "-id"], name="approval_of_project"),
            models.Index(fields=["project", "state", "-id"], name="approval_in_state"),
            # Read by the inbox and its counter: what waits, what was decided, by whom, what must be
            # asked again.
            models.Index(
                fields=["project", "expires_at", "id"],
                # Who may sign is told without a look at the rows: a thousand are counted.
                include=["task", "policy", "requester", "single_person", "requested_at", "risk"],
                name="approval_pending",
                condition=Q(state="pending"),
            ),
            models.Index(
                fields=["project", "-decided_at", "-id"],
                include=["requester", "risk"],  # what it is narrowed by
                name="approval_over",
                condition=Q(decided_at__isnull=False),
            ),
            # Read by the inbox in order of risk, and where it is narrowed by risk or by cost.
            models.Index(
                fields=["project", "risk_rank", "expires_at", "id"],
                include=_TO_SIGN,
                name="approval_pending_by_risk",
                condition=Q(state="pending"),
            ),
            models.Index(
                fields=["project", "cost_class", "expires_at", "id"],
                include=[*_TO_SIGN, "cost"],
                name="approval_pending_by_cost",
                condition=Q(state="pending"),
            ),
            models.Index(
                fields=["project", "cost_class", "risk_rank", "expires_at", "id"],
                include=[*_TO_SIGN, "cost"],
                name="approval_pending_by_both",
                condition=Q(state="pending"),
            ),
            # The same by age: else all of a risk or a cost would be read and sorted.
            models.Index(
                fields=["project", "risk_rank", "id"],
                include=[*_TO_SIGN, "expires_at"],
                name="approval_pending_by_risk_age",
                condition=Q(state="pending"),
            ),
            models.Index(
                fields=["project", "cost_class", "id"],
                include=[*_TO_SIGN, "expires_at", "cost", "risk_rank"],
                name="approval_pending_by_cost_age",
                condition=Q(state="pending"),
            ),
            models.Index(
                fields=["project", "risk_rank", "-decided_at", "-id"],
                name="approval_over_by_risk",
                condition=Q(decided_at__isnull=False),
            ),
            models.Index(
                fields=["project", "cost_class", "-decided_at", "-id"],
                include=["cost"],
                name="approval_over_by_cost",
                condition=Q(decided_at__isnull=False),
            ),
            # Of most that was decided it would be the list of all once more.
            models.Index(
                fields=["project", "state", "-decided_at", "-id"],
                include=["requester", "risk_rank", "cost"],
                name="approval_over_by_state",
                condition=Q(decided_at__isnull=False) & ~Q(state=ApprovalState.APPROVED),
            ),
            models.Index(
                fields=["decided_by", "decided_at"],
                name="approval_decided_by",
                condition=Q(decided_by__isnull=False),
            ),
            models.Index(
                fields=["project", "-id"],
                include=["task", "requester"],
                name="approval_unanswered",
                condition=Q(state__in=["stale", "expired"], replaced=False),
            ),
            # Read by the executor, twice a second.
            models.Index(fields=["expires_at"], name="approval_due", condition=Q(state="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.task.label} round {self.proposal.round}: {self.state}"

    def move(self, to: str, *, guard: dict[str, Any] | None = None, **facts: Any) -> None:
        """Change the state by conditional UPDATE; raises TransitionRefused when too late."""
        transitions.move(self, to, moves=APPROVAL_MOVES, guard=guard, **facts)


class Signature(models.Model):
    """One person's decision on one approval; never changed (a trigger holds it)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(Approval, models.PROTECT, related_name="signatures")
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="signatures")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    single_person = models.BooleanField(default=False)
    verdict = models.CharField(max_length=15, choices=SignatureVerdict)
    digest = models.CharField(max_length=64)
    nonce = models.CharField(max_length=64)
    note = models.TextField(blank=True)
    address = models.GenericIPAddressField(null=True)
    every_file_viewed = models.BooleanField(
        default=False, db_default=False, help_text="The signer had marked every file as viewed."
    )
    on_behalf_of = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text="Absent people it counts for, each with the delegation.",
    )
    at = models.DateTimeField(db_default=Now())
    key = models.CharField(max_length=16, default="", db_default="", help_text="Whose mark it is.")
    mark = models.CharField(max_length=88, default="", db_default="", help_text="Ed25519.")
    carried_from = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        editable=False,
        related_name="carried_to",
        help_text="The signature this copies: given to what the approval follows. It has the mark.",
    )

    project_path = "approval__project"
    objects: ClassVar[ScopedQuerySet[Signature]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            # Who has approved may still end it, while it waits for others.
            models.UniqueConstraint(
                fields=["approval", "signer"],
                condition=Q(verdict=SignatureVerdict.APPROVE),
                name="one_approving_signature_per_person",
            ),
            models.UniqueConstraint(
                fields=["approval"],
                condition=~Q(verdict=SignatureVerdict.APPROVE),
                name="one_signature_ends_it",
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=SignatureVerdict.values), name="verdict_known"
            ),
            models.CheckConstraint(
                condition=~Q(signer=F("requester")) | Q(single_person=True),
                name="requester_never_signs",
            ),
            models.CheckConstraint(
                condition=Q(carried_from__isnull=True) | Q(verdict=SignatureVerdict.APPROVE),
                name="only_approving_signatures_hold",
            ),
        ]
        indexes = [models.Index(fields=["signer", "-id"], name="signature_newest_of")]

    def __str__(self) -> str:
        return f"{self.signer}: {self.verdict}"


class Effect(models.Model):
    """Something done to the outside world after the last signature: intent, act, confirm."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(Approval, models.PROTECT, related_name="effects")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=9, choices=EffectKind)
    arguments = models.JSONField(
        help_text="Sealed: equal to the snapshot's effect at this position."
    )
    state = models.CharField(max_length=9, choices=EffectState, default=EffectState.PLANNED)
    not_before = models.DateTimeField(help_text="The undo window's end.")
    worker = models.CharField(max_length=80, blank=True)
    started_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(
        null=True, help_text="From then on it may have landed; only a look outside can tell."
    )
    looked_at = models.DateTimeField(null=True, help_text="When it was held and last looked for.")
    finished_at = models.DateTimeField(null=True)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    project_path = "approval__project"
    objects: ClassVar[ScopedQuerySet[Effect]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["approval", "position"], name="one_effect_per_position"
            ),
            models.CheckConstraint(
                condition=Q(state__in=EffectState.values), name="effect_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=EffectState.WITHDRAWN) | Q(sent_at__isnull=True),
                name="effect_withdrawn_unsent",
            ),
        ]
        indexes = [
            # Read by the executor.
            models.Index(
                fields=["not_before"],
                name="effect_due",
                condition=Q(state__in=["planned", "doing"]),
            ),
            # Read by the sweep of what is left of tasks that are over, and by the metrics.
            models.Index(
                fields=["state", "approval"],
                name="effect_not_done",
                condition=~Q(state="done"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.approval_id}"

    def move(self, to: str, *, guard: dict[str, Any] | None = None, **facts: Any) -> None:
        """Change the state by conditional UPDATE; raises TransitionRefused when too late."""
        transitions.move(self, to, moves=EFFECT_MOVES, guard=guard, **facts)

    def note_sent(self) -> bool:
        """Put on record that the outside world is about to be touched; False while a hold is open, or
        when somebody took it back under one."""
        now = timezone.now()
        # No join: an UPDATE that waited checks the row anew, but not again what it was found by.
        free = ~Exists(holds.over_task(self.approval.task))
        mine = Effect.objects.filter(free, pk=self.pk, state=EffectState.DOING)
        if not mine.update(sent_at=now, looked_at=None):
            return False
        self.sent_at = now
        return True
