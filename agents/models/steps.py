"""Step, its attempts, and the ledger of their tool calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from agents.events import Kind
from agents.lifecycle import (
    STEP_MOVES,
    STEP_SETTLED,
    AttemptState,
    StepKind,
    StepState,
    ToolCallState,
)
from agents.models.agents import Agent, AgentVersion
from agents.models.tasks import Task
from projects import transitions
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

if TYPE_CHECKING:
    from agents.models.tasks import Event


class Step(models.Model):
    """One sub-task for one agent."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The unique key of a step begins with it.
    task = models.ForeignKey(Task, models.CASCADE, related_name="steps", db_index=False)
    # The task's, kept here so that the claim is fair between projects without a join.
    project = models.ForeignKey(
        Project, models.PROTECT, related_name="steps", editable=False, db_index=False
    )
    asked_by = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        related_name="asked_for",
        help_text="The step that asked for this one: an extra step, or a question.",
    )
    depth = models.PositiveSmallIntegerField(default=0, help_text="0: a step of the plan.")
    round = models.PositiveSmallIntegerField(default=1)
    key = models.CharField(
        max_length=60, help_text="The plan's own id of the step, e.g. fix-rounding; again: ~2."
    )
    kind = models.CharField(max_length=8, choices=StepKind, default=StepKind.WORK)
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="steps")
    version = models.ForeignKey(AgentVersion, models.PROTECT, related_name="steps")
    title = models.CharField(max_length=200)
    instructions = models.TextField(blank=True)
    acceptance = models.TextField(blank=True, help_text="When it is done, in one sentence.")
    files = models.JSONField(default=list, help_text="Paths the plan expects it to touch.")
    feedback = models.JSONField(
        default=list, help_text="What people asked of this step: notes and hunks."
    )
    needs = models.ManyToManyField(
        "self", through="StepDependency", symmetrical=False, related_name="needed_by"
    )
    state = models.CharField(max_length=13, choices=StepState, default=StepState.WAITING)
    waits = models.PositiveSmallIntegerField(default=0, help_text="Dependencies not yet done.")
    priority = models.SmallIntegerField(default=0)
    available_at = models.DateTimeField(db_default=Now())
    attempt = models.PositiveIntegerField(
        default=0, help_text="The fencing token: every write names it."
    )
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True)
    extra_turns = models.PositiveSmallIntegerField(default=0, help_text="Granted once by a person.")
    extra_seconds = models.PositiveIntegerField(default=0)
    extra_tokens = models.PositiveIntegerField(default=0)
    base_commit = models.CharField(
        max_length=64, blank=True, help_text="What its workspace began with."
    )
    result_commit = models.CharField(max_length=64, blank=True, help_text="What it left behind.")
    result = models.JSONField(
        null=True, help_text="The validated result, as agents.messages defines it."
    )
    reason = models.TextField(blank=True)
    left_out = models.BooleanField(
        default=False, help_text="Cancelled, and a person lets the task go on without it."
    )
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    project_path = "task__project"
    objects: ClassVar[ScopedQuerySet[Step]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["round", "id"]
        constraints = [
            models.UniqueConstraint(fields=["task", "round", "key"], name="one_step_per_key"),
            models.CheckConstraint(
                condition=Q(state__in=StepState.values), name="step_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=StepState.LEASED, lease_until__isnull=False)
                | (~Q(state=StepState.LEASED) & Q(lease_until__isnull=True)),
                name="step_lease_iff_leased",
            ),
            models.CheckConstraint(
                condition=~Q(state=StepState.READY) | Q(waits=0),
                name="ready_step_waits_for_nothing",
            ),
            models.CheckConstraint(
                condition=Q(left_out=False) | Q(state=StepState.CANCELLED),
                name="left_out_step_is_cancelled",
            ),
        ]
        indexes = [
            # Read by the claim.
            models.Index(
                fields=["project", "-priority", "available_at", "id"],
                name="step_ready",
                condition=Q(state="ready"),
            ),
            # Read by the sweep of settled steps nobody was asked about, and by the metrics.
            models.Index(
                fields=["state", "task"],
                name="step_not_done",
                condition=~Q(state__in=["done", "cancelled"]),
            ),
            # Read by the heartbeat and the sweeper.
            models.Index(fields=["lease_until"], name="step_leased", condition=Q(state="leased")),
        ]

    def __str__(self) -> str:
        return f"{self.task.label} {self.title}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Give a new step its task's project."""
        if self.project_id is None:
            self.project_id = self.task.project_id
        super().save(*args, **kwargs)

    @property
    def settled(self) -> bool:
        """Tell whether no worker will touch it again unless a person asks."""
        return self.state in STEP_SETTLED

    @property
    def max_turns(self) -> int:
        """The version's turns plus what a person granted."""
        return self.version.max_turns + self.extra_turns

    def move(
        self,
        to: str,
        *,
        kind: str = Kind.STEP_STATE,
        data: dict[str, Any] | None = None,
        **facts: Any,
    ) -> Event:
        """Change the state and write the event with it.

        Fenced: a step whose attempt has moved on since it was loaded raises TransitionRefused.
        """
        came_from = self.state
        if to != StepState.LEASED:
            facts = {"lease_owner": "", "lease_until": None, **facts}
        if to in STEP_SETTLED:
            facts.setdefault("finished_at", Now())
        with transitions.together():
            transitions.move(self, to, moves=STEP_MOVES, guard={"attempt": self.attempt}, **facts)
            return self.task.record(
                kind,
                {"from": came_from, "state": to, "attempt": self.attempt, **(data or {})},
                step=self,
            )


class StepDependency(models.Model):
    """`step` begins when `needs` is done."""

    step = models.ForeignKey(Step, models.CASCADE, related_name="dependencies")
    needs = models.ForeignKey(Step, models.CASCADE, related_name="dependents")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step", "needs"], name="one_dependency_each"),
            models.CheckConstraint(condition=~Q(step=F("needs")), name="no_step_needs_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.step_id} needs {self.needs_id}"


class Attempt(models.Model):
    """One try of a step: its checkpoint, usage and outcome."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    step = models.ForeignKey(Step, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    resumes = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        related_name="resumed_by",
        help_text="The attempt whose checkpoint and ledger this one goes on from.",
    )
    state = models.CharField(max_length=9, choices=AttemptState, default=AttemptState.RUNNING)
    worker = models.CharField(max_length=80)
    model = models.CharField(max_length=200, blank=True, help_text="The model that answered.")
    checkpoint = models.JSONField(
        null=True, help_text="The conversation after its last finished turn."
    )
    turns = models.PositiveSmallIntegerField(
        default=0, help_text="Finished model turns, resumed ones included."
    )
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    reserved_tokens = models.PositiveBigIntegerField(
        default=0, help_text="For the call that runs now; settled with its answer."
    )
    reserved_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    reserved_input_tokens = models.PositiveBigIntegerField(
        default=0, help_text="Of it what is sent: spent also when no answer comes back."
    )
    reserved_input_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    called_at = models.DateTimeField(
        null=True,
        help_text="When its newest call of a model was let through; rehearsals make none.",
    )
    seen_seq = models.BigIntegerField(default=0, help_text="Notes up to this event were delivered.")
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    project_path = "step__task__project"
    objects: ClassVar[ScopedQuerySet[Attempt]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["step", "number"]
        constraints = [
            models.UniqueConstraint(fields=["step", "number"], name="one_attempt_per_number"),
            models.UniqueConstraint(
                fields=["step"],
                condition=Q(state=AttemptState.RUNNING),
                name="one_running_attempt_per_step",
            ),
            models.CheckConstraint(
                condition=Q(state__in=AttemptState.values), name="attempt_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=AttemptState.RUNNING, finished_at__isnull=True)
                | (~Q(state=AttemptState.RUNNING) & Q(finished_at__isnull=False)),
                name="attempt_finished_at_iff_over",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.step_id}"


class ToolCall(models.Model):
    """One tool call of an attempt, written before it acts; what a resumed attempt replays from."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="tool_calls")
    response = models.PositiveSmallIntegerField(
        help_text="Index of the model response that asked for it."
    )
    call_id = models.CharField(max_length=100)
    server = models.CharField(max_length=60)
    tool = models.CharField(max_length=120)
    arguments = models.JSONField(default=dict)
    fingerprint = models.CharField(
        max_length=64, help_text="SHA-256 of tool and canonical arguments."
    )
    state = models.CharField(max_length=7, choices=ToolCallState, default=ToolCallState.STARTED)
    result = models.TextField(blank=True, help_text="As the model saw it; capped.")
    result_fingerprint = models.CharField(max_length=64, blank=True, help_text="SHA-256 of it.")
    error = models.CharField(max_length=80, blank=True, help_text="Its class, when it failed.")
    summary = models.CharField(max_length=300, blank=True, help_text="One line for people.")
    sandbox = models.CharField(
        max_length=20, blank=True, help_text="What repository code ran under."
    )
    tree = models.CharField(
        max_length=64, blank=True, help_text="The workspace's tree after a write."
    )
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    withdrawn = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Its step was stopped; what asks for it is still to be closed.",
    )

    project_path = "attempt__step__task__project"
    objects: ClassVar[ScopedQuerySet[ToolCall]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["attempt", "started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["attempt", "response", "call_id"], name="one_ledger_row_per_call"
            ),
            models.CheckConstraint(
                condition=Q(state__in=ToolCallState.values), name="tool_call_state_known"
            ),
        ]
        indexes = [
            # Read by whoever seals and carries them out, and of a step that waits for them.
            models.Index(
                fields=["attempt"],
                name="tool_call_open",
                condition=Q(state__in=["waiting", "asked"]),
            ),
            # Read by the floor above every two seconds; nearly always empty.
            models.Index(fields=["id"], name="tool_call_withdrawn", condition=Q(withdrawn=True)),
        ]

    def __str__(self) -> str:
        return f"{self.tool} {self.state}"
