"""The sealed request to make one call of a tool outside, and the decision on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Step, Task, ToolCall
from approvals.lifecycle import CALL_MOVES, CALL_UNDECIDED, CallState, CallVerdict
from approvals.models.approvals import RANKS
from approvals.models.policies import Risk
from projects import transitions
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

if TYPE_CHECKING:
    import uuid

_PERSON = settings.AUTH_USER_MODEL
# From the definition of the tool that was sealed: what reads, what may be repeated, what may not.
_READS, _REPEATS = Q(snapshot__tool__read_only=True), Q(snapshot__call__idempotent=True)
_RISK = Case(
    When(_READS, then=Value(Risk.LOW.value)),
    When(_REPEATS, then=Value(Risk.MEDIUM.value)),
    default=Value(Risk.HIGH.value),
)
_RANK = Case(
    When(_READS, then=Value(RANKS[Risk.LOW])),
    When(_REPEATS, then=Value(RANKS[Risk.MEDIUM])),
    default=Value(RANKS[Risk.HIGH]),
)
_OVER = Q(decided_at__isnull=False, free=False)


class CallApproval(models.Model):
    """One call of a tool outside, sealed as its agent asked for it; once more when that was undone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, models.PROTECT, related_name="calls", db_index=False)
    task = models.ForeignKey(Task, models.PROTECT, related_name="calls")
    step = models.ForeignKey(Step, models.PROTECT, related_name="calls", db_index=False)
    call = models.ForeignKey(
        ToolCall, models.PROTECT, related_name="approvals", help_text="Its row of the ledger."
    )
    requester = models.ForeignKey(_PERSON, models.PROTECT, related_name="+", db_index=False)
    single_person = models.BooleanField(
        default=False, help_text="Sealed from the project: the requester may sign."
    )
    free = models.BooleanField(default=False, help_text="Sealed: the tool needs no permission.")
    state = models.CharField(max_length=9, choices=CallState, default=CallState.PENDING)
    snapshot = models.JSONField(help_text="What the page shows and what is called; sealed.")
    risk = models.GeneratedField(
        expression=_RISK,
        output_field=models.CharField(max_length=6, choices=Risk),
        db_persist=True,
        help_text="By what the tool says of itself, as it was sealed.",
    )
    risk_rank = models.GeneratedField(
        expression=_RANK, output_field=models.SmallIntegerField(), db_persist=True
    )
    agent = models.GeneratedField(
        expression=KT("snapshot__agent__slug"),
        output_field=models.CharField(max_length=60),
        db_persist=True,
        help_text="Who asks, as it was sealed.",
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of the snapshot's canonical JSON.")
    nonce = models.CharField(max_length=64, unique=True)
    edited = models.TextField(
        blank=True, help_text="The arguments as a person changed them: these are called."
    )
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        _PERSON, models.PROTECT, null=True, related_name="+", db_index=False
    )
    reason = models.TextField(blank=True, help_text="The note, or why it ended undecided.")
    worker = models.CharField(max_length=80, blank=True)
    sent_at = models.DateTimeField(null=True, help_text="From then on it may have landed.")
    finished_at = models.DateTimeField(null=True)

    project_path = "project"
    objects: ClassVar[ScopedQuerySet[CallApproval]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=CallState.values), name="call_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=CallState.PENDING, decided_at__isnull=True)
                | (~Q(state=CallState.PENDING) & Q(decided_at__isnull=False)),
                name="call_decided_at_iff_over",
            ),
            models.CheckConstraint(
                condition=Q(state__in=CALL_UNDECIDED) | Q(free=True) | Q(decided_by__isnull=False),
                name="call_decision_has_a_person",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True)
                | ~Q(decided_by=F("requester"))
                | Q(single_person=True),
                name="requester_never_allows",
            ),
            # It is asked for again when its permission was undone; then the former is withdrawn.
            models.UniqueConstraint(
                fields=["call"], condition=~Q(state=CallState.WITHDRAWN), name="one_seal_per_call"
            ),
        ]
        indexes = [
            # Read by lists, the newest of each project first: all, and by state.
            models.Index(fields=["project", "-id"], name="call_of_project"),
            models.Index(fields=["project", "state", "-id"], name="call_in_state"),
            # Read by the inbox and its counter; with all they ask for.
            models.Index(
                fields=["project", "expires_at", "id"],
                name="call_pending",
                condition=Q(state="pending"),
                include=["task", "requester", "single_person", "requested_at", "risk", "agent"],
            ),
            models.Index(
                fields=["project", "risk_rank", "expires_at", "id"],
                name="call_pending_by_risk",
                condition=Q(state="pending"),
                include=["task", "requester", "single_person", "requested_at", "agent"],
            ),
            # What was decided, newest first, with what narrows it; and by whom today.
            models.Index(
                fields=["project", "-decided_at", "-id"],
                name="call_decided",
                condition=_OVER,
                include=["requester", "risk", "agent"],
            ),
            models.Index(
                fields=["decided_by", "decided_at"],
                name="call_decided_by",
                condition=Q(decided_by__isnull=False),
            ),
            # Read by the executor, twice a second.
            models.Index(fields=["expires_at"], name="call_due", condition=Q(state="pending")),
            models.Index(
                fields=["id"], name="call_to_make", condition=Q(state__in=["allowed", "calling"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.snapshot['call']['tool']} of {self.snapshot['task']['label']}: {self.state}"

    @property
    def original(self) -> dict[str, Any]:
        """The arguments the agent asked for."""
        return dict(json.loads(self.snapshot["arguments"]))

    @property
    def arguments(self) -> dict[str, Any]:
        """The call as it is sent: where to, to which definition, with which arguments."""
        given = json.loads(self.edited) if self.edited else self.original
        return {**self.snapshot["call"], "arguments": given}

    def asked_again(self) -> uuid.UUID | None:
        """Return the request that took the place of this one when its permission was undone."""
        later = CallApproval.objects.filter(call=self.call_id, pk__gt=self.pk).order_by("id")
        return later.values_list("pk", flat=True).first()

    def told(self) -> str:
        """Return what the agent was told of it: nothing if it was asked again, the answer is to that."""
        return "" if self.asked_again() else self.call.result

    def move(self, to: str, *, guard: dict[str, Any] | None = None, **facts: Any) -> None:
        """Change the state by conditional UPDATE; raises TransitionRefused when too late."""
        transitions.move(self, to, moves=CALL_MOVES, guard=guard, **facts)

    def note_sent(self) -> bool:
        """Put on record that the outside world is about to be touched; False when it is too late."""
        self.sent_at = self.sent_at or timezone.now()
        rows = CallApproval.objects.filter(pk=self.pk, state=CallState.CALLING)
        return bool(rows.update(sent_at=self.sent_at))


class CallSignature(models.Model):
    """One person's decision on one call; never changed (a trigger holds it).

    One that refuses ends it; of those that allow as many are asked for as its sealed policy says.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    approval = models.ForeignKey(
        CallApproval, models.PROTECT, related_name="signatures", db_index=False
    )
    signer = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    requester = models.ForeignKey(_PERSON, models.PROTECT, related_name="+", db_index=False)
    single_person = models.BooleanField(default=False)
    verdict = models.CharField(max_length=6, choices=CallVerdict)
    digest = models.CharField(max_length=64, help_text="Of what is called: edited, if it was.")
    nonce = models.CharField(max_length=64)
    note = models.TextField(blank=True)
    address = models.GenericIPAddressField(null=True)
    on_behalf_of = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text="Absent people it counts for, each with the delegation.",
    )
    at = models.DateTimeField(db_default=Now())
    key = models.CharField(max_length=16, default="", help_text="Whose mark it is.")
    mark = models.CharField(max_length=88, default="", help_text="Ed25519.")

    project_path = "approval__project"
    objects: ClassVar[ScopedQuerySet[CallSignature]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            # Who has allowed it may still refuse it, while it waits for others.
            models.UniqueConstraint(
                fields=["approval", "signer"],
                condition=Q(verdict=CallVerdict.ALLOW),
                name="one_permission_per_person",
            ),
            models.UniqueConstraint(
                fields=["approval"],
                condition=Q(verdict=CallVerdict.REFUSE),
                name="one_refusal_per_call",
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=CallVerdict.values), name="call_verdict_known"
            ),
            models.CheckConstraint(
                condition=~Q(signer=F("requester")) | Q(single_person=True),
                name="requester_never_signs_a_call",
            ),
        ]
        indexes = [models.Index(fields=["signer", "-id"], name="call_signature_newest_of")]

    def __str__(self) -> str:
        return f"{self.signer}: {self.verdict}"


def risk_of(sealed: dict[str, Any]) -> Risk:
    """Return the risk of a call that is about to be sealed, as the database computes it."""
    if sealed["tool"]["read_only"]:
        return Risk.LOW
    return Risk.MEDIUM if sealed["call"]["idempotent"] else Risk.HIGH
