"""Task, its event log, and escalations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from agents.events import Kind, announce
from agents.lifecycle import TASK_MOVES, TASK_TERMINAL, EscalationState, TaskState
from agents.models.fields import TitleWords, TransactionField
from memory import working
from projects import transitions
from projects.ids import uuid7
from projects.models import Project
from projects.scoping import ScopedQuerySet

if TYPE_CHECKING:
    from agents.models.steps import Step


# One statement: what takes the number also writes the event under it.
_RECORD = """
WITH task AS (UPDATE agents_task SET last_seq = last_seq + 1 WHERE id = %s RETURNING id, last_seq)
INSERT INTO agents_event (task_id, seq, kind, step_id, data)
SELECT task.id, task.last_seq, %s, %s, %s::jsonb FROM task RETURNING id, seq, at, xact::text::bigint
"""


class TaskQuerySet(ScopedQuerySet["Task"]):
    """Tasks as screens ask for them."""

    def open(self) -> TaskQuerySet:
        """Keep tasks that are not over."""
        return self.exclude(state__in=TASK_TERMINAL)


class Task(models.Model):
    """One request and everything done for it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.BigIntegerField(unique=True, editable=False, help_text="Shown as T-number.")
    # Their indexes are those below, which begin with them.
    project = models.ForeignKey(Project, models.PROTECT, related_name="tasks", db_index=False)
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="tasks", db_index=False
    )
    reverts = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        editable=False,
        related_name="reverted_by",
        db_index=False,
        help_text="The task whose merged change this one takes back.",
    )
    request = models.TextField()
    title = models.CharField(max_length=200)
    context = models.JSONField(default=dict)
    requested_agents = ArrayField(models.CharField(max_length=60), default=list)
    state = models.CharField(max_length=11, choices=TaskState, default=TaskState.QUEUED)
    state_before_human = models.CharField(
        max_length=11, blank=True, help_text="Where needs_human goes back to."
    )
    reason = models.TextField(blank=True, help_text="Why it was rejected, stopped or failed.")
    round = models.PositiveSmallIntegerField(default=1)
    limits = models.JSONField(default=dict, help_text="Frozen at submission; see agents.limits.")
    model = models.CharField(
        max_length=200, help_text="The model choice at submission, e.g. rehearsal."
    )
    base_commit = models.CharField(max_length=64, blank=True, help_text="Main when the task began.")
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_digest = models.CharField(max_length=64)
    priority = models.SmallIntegerField(default=0)
    last_seq = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    model_calls = models.PositiveIntegerField(default=0)
    tool_calls = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    project_path = "project"
    objects: ClassVar[TaskQuerySet] = TaskQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=TaskState.values), name="task_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(TASK_TERMINAL), finished_at__isnull=False)
                | (~Q(state__in=sorted(TASK_TERMINAL)) & Q(finished_at__isnull=True)),
                name="task_finished_at_iff_over",
            ),
            models.UniqueConstraint(
                fields=["requester", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="one_task_per_idempotency_key",
            ),
            models.UniqueConstraint(
                fields=["reverts"],
                condition=Q(reverts__isnull=False)
                & ~Q(state__in=sorted(TASK_TERMINAL - {TaskState.DONE})),
                name="one_revert_per_task",
            ),
            models.CheckConstraint(condition=~Q(reverts=F("id")), name="task_reverts_another"),
        ]
        indexes = [
            # Read by lists, the newest of each project first: all, by state, and one's own. From the
            # end, then: a new task put at the front of its group splits pages in the middle, and they
            # stay half empty.
            models.Index(fields=["project", "id"], name="task_of_project"),
            models.Index(fields=["project", "state", "id"], name="task_in_state"),
            models.Index(fields=["requester", "project", "state", "id"], name="task_of_requester"),
            # Read by the sweepers, the executor's look and the metrics.
            models.Index(
                fields=["state", "id"],
                name="task_open",
                condition=~Q(state__in=sorted(TASK_TERMINAL)),
            ),
            # Read by the search. New words wait beside the index until a vacuum files them, so that
            # no submission has to; the table is vacuumed early enough (see the migration).
            GinIndex(TitleWords(), name="task_title_words", gin_pending_list_limit=262_144),
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.title}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Give a new task its number from a sequence: gaps are allowed, twice is not."""
        if self.number is None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT nextval('agents_task_number')")
                self.number = cursor.fetchone()[0]
        super().save(*args, **kwargs)

    @property
    def label(self) -> str:
        """T-1042, as people say it."""
        return f"T-{self.number}"

    @property
    def rehearsal(self) -> bool:
        """Tell whether no language model did the thinking."""
        return self.model == "rehearsal"

    @property
    def over(self) -> bool:
        """Tell whether nothing more can happen."""
        return self.state in TASK_TERMINAL

    def move(
        self,
        to: str,
        *,
        kind: str = Kind.TASK_STATE,
        data: dict[str, Any] | None = None,
        **facts: Any,
    ) -> Event:
        """Change the state and write the event with it; raises TransitionRefused when too late."""
        came_from = self.state
        if to in TASK_TERMINAL:
            facts.setdefault("finished_at", Now())
        with transitions.together():
            transitions.move(self, to, moves=TASK_MOVES, **facts)
            if to in TASK_TERMINAL:
                transaction.on_commit(lambda: working.end(self.pk), robust=True)
            return self.record(kind, {"from": came_from, "state": to, **(data or {})})

    def record(
        self, kind: str, data: dict[str, Any] | None = None, *, step: Step | None = None
    ) -> Event:
        """Append one event; seq is taken under the task's row lock, so commit order is seq order."""
        event = Event(task=self, kind=kind, step=step, data=data or {})
        given: list[Any] = [self.pk, kind, event.step_id, json.dumps(event.data)]
        with connection.cursor() as cursor:
            cursor.execute(_RECORD, given)
            event.id, event.seq, event.at, event.xact = cursor.fetchone()
        event._state.adding = False
        self.last_seq = event.seq
        transaction.on_commit(lambda: announce(event), robust=True)
        return event


class Arrival(models.Model):
    """A task of a crowd: accepted, and not yet given its first step (see agents.arrivals)."""

    # Written by the statement that writes the task: there is nothing to check.
    task = models.OneToOneField(
        Task, models.CASCADE, primary_key=True, related_name="arrival", db_constraint=False
    )

    project_path = "task__project"
    objects: ClassVar[ScopedQuerySet[Arrival]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.task_id} waits for its first step"


class Event(models.Model):
    """One durable fact of a task; written before it is sent, never changed (a trigger holds it)."""

    id = models.BigAutoField(primary_key=True)
    # The unique seq begins with it.
    task = models.ForeignKey(Task, models.CASCADE, related_name="events", db_index=False)
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=30, choices=Kind)
    step = models.ForeignKey(
        "agents.Step", models.CASCADE, null=True, related_name="events", db_index=False
    )
    data = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now())
    xact = TransactionField(help_text="With the id, the order in which commits may be read.")

    project_path = "task__project"
    objects: ClassVar[ScopedQuerySet[Event]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["task", "seq"]
        indexes = [
            # Read by the sink that sends the log elsewhere.
            models.Index(fields=["xact", "id"], name="event_in_commit_order"),
            # Without the events of no step: to find those of one task, all of them would be read.
            models.Index(fields=["step"], condition=Q(step__isnull=False), name="event_of_step"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["task", "seq"], name="one_event_per_seq"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="event_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class Rule(models.TextChoices):
    """Why an escalation was raised."""

    MAX_TURNS = "max_turns", "All turns used"
    WALL_CLOCK = "wall_clock", "Out of time"
    BUDGET = "budget", "Out of budget"
    REPEATED_CALL = "repeated_call", "The same call again and again"
    REPEATED_ERROR = "repeated_error", "The same error again and again"
    OSCILLATION = "oscillation", "Going back and forth"
    NO_PROGRESS = "no_progress", "No progress"
    PING_PONG = "ping_pong", "Two agents ask each other"
    DEADLOCK = "deadlock", "Steps wait for each other"
    DELEGATION_LIMIT = "delegation_limit", "Too many questions between agents"
    INVALID_PLAN = "invalid_plan", "The plan is not valid"
    INVALID_OUTPUT = "invalid_output", "The model's answers fit no schema"
    MODEL_UNREACHABLE = "model_unreachable", "The model cannot be reached"
    MODEL_REFUSED = "model_refused", "The model refuses the key"
    MODEL_OVERLOADED = "model_overloaded", "The model is overloaded"
    BLOCKED = "blocked", "The agent is blocked"
    CONFLICT = "conflict", "The agents' changes conflict"
    UNKNOWN_TOOL_CALL = "unknown_tool_call", "A tool call was cut off"
    EFFECT_FAILED = "effect_failed", "The approved effect failed"
    FAULT = "fault", "A fault in Countersign"


class Choice(models.TextChoices):
    """How a person lets it go on."""

    RAISE_LIMIT_ONCE = "raise_limit_once", "Raise the limit once"
    RETRY_WITH_NOTE = "retry_with_note", "Try again with a note"
    REASSIGN = "reassign", "Give it to another agent"
    TAKE_OVER = "take_over", "Take it over"  # a person hands in the step's result
    GO_ON_WITHOUT = "go_on_without", "Go on without it"
    STOP = "stop", "Stop the task"


class Escalation(models.Model):
    """A limit tripped; a person chooses how to go on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    task = models.ForeignKey(Task, models.CASCADE, related_name="escalations")
    step = models.ForeignKey("agents.Step", models.CASCADE, null=True, related_name="escalations")
    attempt = models.PositiveIntegerField(default=0)
    rule = models.CharField(max_length=20, choices=Rule)
    detail = models.TextField(help_text="One sentence: what happened and what was kept.")
    evidence = models.JSONField(default=dict)
    options = ArrayField(models.CharField(max_length=20, choices=Choice))
    state = models.CharField(max_length=8, choices=EscalationState, default=EscalationState.OPEN)
    choice = models.CharField(max_length=20, choices=Choice, blank=True)
    note = models.TextField(blank=True)
    reassigned_to = models.ForeignKey(
        "agents.Agent", models.PROTECT, null=True, related_name="+", help_text="By the choice."
    )
    raised_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="resolved_escalations"
    )

    project_path = "task__project"
    objects: ClassVar[ScopedQuerySet[Escalation]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            # Read by the inbox's counter and the metrics.
            models.Index(
                fields=["task"], name="escalation_open", condition=Q(state=EscalationState.OPEN)
            ),
            # Read by the inbox: who took a step over does not sign its task.
            models.Index(
                fields=["resolved_by", "task"],
                name="escalation_taken_over",
                condition=Q(choice=Choice.TAKE_OVER),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(rule__in=Rule.values), name="escalation_rule_known"),
            models.CheckConstraint(
                condition=Q(state=EscalationState.OPEN, resolved_at__isnull=True, choice="")
                | (Q(state=EscalationState.RESOLVED, resolved_at__isnull=False) & ~Q(choice="")),
                name="escalation_resolved_with_a_choice",
            ),
            # A step waits for one answer at a time.
            models.UniqueConstraint(
                fields=["step"],
                condition=Q(state=EscalationState.OPEN),
                name="one_open_escalation_per_step",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_rule_display()} in {self.task_id}"
