"""What the API takes and gives about tasks; no rules here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents import escalations, holds, notes, takeovers
from agents.lifecycle import EscalationState, TaskState
from agents.limits import Limits
from agents.meters import used as used_of
from agents.models.tasks import Choice
from agents.requests import MAX_CHARACTERS
from countersign.api import links
from countersign.api.fields import Amount, Chosen, Input, Object, Query, Text, Whole
from countersign.api.holds.serializers import HoldShape
from countersign.api.paging import PageQuery
from countersign.live.cursors import NEWEST
from memory.models import Memory, MemoryUse

if TYPE_CHECKING:
    from rest_framework.request import Request

    from agents.models import Escalation, Step, Task
    from projects.models import User

STRINGS = serializers.DictField(child=serializers.CharField())


class LimitsInput(Input):
    """What the task may use in all; absent ones are the project's."""

    seconds = Whole(min_value=1, max_value=10**7, required=False)
    tokens = Whole(min_value=1, max_value=10**10, required=False)
    usd = Amount(required=False)
    rounds = Whole(min_value=1, max_value=100, required=False)
    steps = Whole(min_value=1, max_value=100, required=False)


class SubmitInput(Input):
    """A request for work."""

    project = Text(max_length=60, help_text="The project's slug.")
    request = Text(
        max_length=MAX_CHARACTERS, allow_blank=True, help_text="What you want done, in a sentence."
    )
    limits = LimitsInput(required=False)
    agents = serializers.ListField(
        child=Text(max_length=60),
        max_length=20,
        required=False,
        help_text="Slugs of the specialists the plan may use.",
    )
    context = Object(required=False)  # type: ignore[assignment]  # a field, not the attribute


class NoteInput(Input):
    """A word to the agents at work."""

    text = Text(max_length=notes.MAX_CHARACTERS)


class CancelInput(Input):
    """Why it is stopped, if you want to say."""

    reason = Text(max_length=1_000, required=False, allow_blank=True, default="")


class ResolveInput(Input):
    """How an escalation goes on."""

    choice = Chosen(choices=Choice.choices)
    note = Text(
        max_length=takeovers.MAX_TEXT,
        required=False,
        allow_blank=True,
        default="",
        help_text="A word to the agent or, for take_over, your result; without take_over at most "
        f"{escalations.MAX_NOTE:,} characters.",
    )
    agent = Text(
        max_length=60,
        required=False,
        allow_blank=True,
        default="",
        help_text="For reassign: the slug of one of the candidates.",
    )
    commit = Text(
        max_length=takeovers.MAX_COMMIT,
        required=False,
        allow_blank=True,
        default="",
        help_text="For take_over, if you changed files: a branch, or a whole commit id, of the "
        "project's repository.",
    )


class RetryInput(Input):
    """What should be different this time."""

    note = Text(max_length=escalations.MAX_NOTE)


class TaskQuery(PageQuery):
    """Which tasks."""

    project = serializers.CharField(max_length=60, required=False)
    state = serializers.ChoiceField(choices=TaskState.choices, required=False)
    mine = serializers.BooleanField(default=False, help_text="Only those you asked for.")


class EventQuery(Query):
    """Which events."""

    after = serializers.IntegerField(min_value=0, max_value=NEWEST, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=1_000, default=200)


class PersonShape(serializers.Serializer[Any]):
    """Somebody, as others see them."""

    id = serializers.UUIDField()
    name = serializers.CharField(source="display_name")


class SubmittedShape(serializers.Serializer[Any]):
    """The receipt of a request."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    state = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=[TaskState.QUEUED.value]))
    def get_state(self, task: Task) -> str:
        """Return the state it was accepted in, also when a key is replayed later."""
        return TaskState.QUEUED.value

    @extend_schema_field(STRINGS)
    def get_links(self, task: Task) -> dict[str, str]:
        """Return where to look next."""
        return links.of_task(task, self.context["request"])


class TaskShape(serializers.Serializer[Any]):
    """A task in a list."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the attribute
    title = serializers.CharField()
    project = serializers.CharField(source="project.slug")
    requester = PersonShape()
    state = serializers.ChoiceField(choices=TaskState.choices)
    round = serializers.IntegerField()
    model = serializers.CharField()
    rehearsal = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    links = serializers.SerializerMethodField()

    @extend_schema_field(STRINGS)
    def get_links(self, task: Task) -> dict[str, str]:
        """Return where to look next."""
        return links.of_task(task, self._request())

    def _request(self) -> Request:
        return self.context["request"]  # type: ignore[no-any-return]


class StepShape(serializers.Serializer[Any]):
    """One step of the plan."""

    id = serializers.UUIDField()
    round = serializers.IntegerField()
    key = serializers.CharField()
    kind = serializers.CharField(
        help_text="route, work, assemble or, for a question of another agent, answer."
    )
    asked_by = serializers.UUIDField(
        source="asked_by_id",
        allow_null=True,
        help_text="The step that asked this question or added this step; null: the plan.",
    )
    agent = serializers.CharField(source="agent.slug")
    title = serializers.CharField()
    state = serializers.CharField()
    depends_on = serializers.SerializerMethodField()
    attempt = serializers.IntegerField()
    model = serializers.SerializerMethodField()
    rehearsal = serializers.SerializerMethodField()
    reason = serializers.CharField()
    left_out = serializers.BooleanField(help_text="The task goes on without it.")
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_depends_on(self, step: Step) -> list[str]:
        """Return the ids of the steps it needs."""
        return [str(each.needs_id) for each in step.dependencies.all()]

    @extend_schema_field(serializers.CharField())
    def get_model(self, step: Step) -> str:
        """Return the model that answered last, or the one the task began with."""
        names = [attempt.model for attempt in step.attempts.all() if attempt.model]
        return names[-1] if names else step.task.model

    @extend_schema_field(serializers.BooleanField())
    def get_rehearsal(self, step: Step) -> bool:
        """Tell whether no language model did the thinking."""
        return self.get_model(step) == "rehearsal"


class PlanShape(serializers.Serializer[Any]):
    """The steps of all rounds, oldest first."""

    steps = StepShape(many=True)


class ProposalShape(serializers.Serializer[Any]):
    """What the agents put up last."""

    id = serializers.UUIDField()
    round = serializers.IntegerField()
    version = serializers.IntegerField()
    kind = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    base_commit = serializers.CharField()
    head_commit = serializers.CharField()
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    model = serializers.CharField()
    rehearsal = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class CandidateShape(serializers.Serializer[Any]):
    """An agent that could do a step instead."""

    slug = serializers.CharField(source="agent.slug")
    name = serializers.CharField(source="agent.name")


class EscalationShape(serializers.Serializer[Any]):
    """A question to a person."""

    id = serializers.UUIDField()
    step = serializers.UUIDField(source="step_id", allow_null=True)
    rule = serializers.CharField()
    detail = serializers.CharField()
    evidence = serializers.JSONField()
    options = serializers.SerializerMethodField()
    candidates = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=EscalationState.choices)
    choice = serializers.CharField()
    note = serializers.CharField()
    reassigned_to = serializers.CharField(source="reassigned_to.slug", default=None)
    raised_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_by = PersonShape(allow_null=True)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_options(self, escalation: Escalation) -> list[str]:
        """Return what can be chosen now; once it is answered, what could be."""
        if escalation.state == EscalationState.RESOLVED:
            return escalation.options
        return escalations.offered(escalation)

    @extend_schema_field(CandidateShape(many=True))
    def get_candidates(self, escalation: Escalation) -> Any:
        """Return who could do the step instead, while that can be chosen."""
        step, open_ = escalation.step, escalation.state == EscalationState.OPEN
        able = escalations.candidates(step) if step is not None and open_ else []
        return CandidateShape(able, many=True).data


class MeterShape(serializers.Serializer[Any]):
    """So much of so much."""

    used = serializers.FloatField()
    limit = serializers.FloatField()


class UsageShape(serializers.Serializer[Any]):
    """Use against the task's limits."""

    seconds = MeterShape()
    tokens = MeterShape()
    usd = MeterShape()
    rounds = MeterShape()
    steps = MeterShape()
    model_calls = serializers.IntegerField()
    tool_calls = serializers.IntegerField()


class UsedMemoryShape(serializers.Serializer[Any]):
    """A memory that was recalled for a step; empty content means it was forgotten since."""

    id = serializers.UUIDField(source="memory_id")
    content = serializers.CharField(source="memory.content")
    kind = serializers.CharField(source="memory.kind")
    step = serializers.UUIDField()
    agent = serializers.CharField(source="agent_slug")
    score = serializers.FloatField()


class TaskDetailShape(TaskShape):
    """A task with everything done for it."""

    request = serializers.CharField()
    reason = serializers.CharField()
    context = serializers.JSONField()  # type: ignore[assignment]  # a field, not the attribute
    last_seq = serializers.IntegerField()
    plan = serializers.SerializerMethodField()
    proposal = serializers.SerializerMethodField()
    approval = serializers.SerializerMethodField()
    escalations = serializers.SerializerMethodField()
    usage = serializers.SerializerMethodField()
    memories = serializers.SerializerMethodField()
    holds = serializers.SerializerMethodField(
        help_text="Open holds that stop the task as a whole: its own is its pause."
    )

    @extend_schema_field(HoldShape(many=True))
    def get_holds(self, task: Task) -> Any:
        """Return what people stopped it with."""
        return HoldShape(holds.over_task(task), many=True).data

    @extend_schema_field(PlanShape)
    def get_plan(self, task: Task) -> dict[str, Any]:
        """Return the steps; their dependencies come in two more queries, whatever their number."""
        steps = task.steps.select_related("agent", "task").prefetch_related(
            "dependencies", "attempts"
        )
        return {"steps": StepShape(steps, many=True).data}

    @extend_schema_field(ProposalShape(allow_null=True))
    def get_proposal(self, task: Task) -> dict[str, Any] | None:
        """Return the newest proposal."""
        newest = task.proposals.order_by("-round", "-version").first()
        return ProposalShape(newest).data if newest else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_approval(self, task: Task) -> str | None:
        """Return the id of the newest approval."""
        newest = task.approvals.order_by("-pk").values_list("pk", flat=True).first()
        return str(newest) if newest else None

    @extend_schema_field(EscalationShape(many=True))
    def get_escalations(self, task: Task) -> Any:
        """Return the questions that are open."""
        found = task.escalations.filter(state=EscalationState.OPEN).order_by("pk")
        found = found.select_related("step__task", "resolved_by", "reassigned_to")
        return EscalationShape(found, many=True).data

    @extend_schema_field(UsageShape)
    def get_usage(self, task: Task) -> dict[str, Any]:
        """Return use against limits."""
        limits = Limits.frozen(task.limits)
        used = {
            "seconds": round(used_of(task).seconds, 1),
            "tokens": task.input_tokens + task.output_tokens,
            "usd": float(task.usd),
            "rounds": task.round,
            "steps": task.steps.filter(kind="work", round=task.round).count(),
        }
        meters = {name: {"used": used[name], "limit": getattr(limits, name)} for name in used}
        return {**meters, "model_calls": task.model_calls, "tool_calls": task.tool_calls}

    @extend_schema_field(UsedMemoryShape(many=True))
    def get_memories(self, task: Task) -> Any:
        """Return what was recalled; private memories of others stay private."""
        mine = Memory.objects.visible_to(cast("User", self._request().user)).values("pk")
        uses = MemoryUse.objects.filter(task=task.pk, memory__in=mine)
        return UsedMemoryShape(uses.select_related("memory").order_by("id"), many=True).data


class EventShape(serializers.Serializer[Any]):
    """One durable event, as streams send it."""

    seq = serializers.IntegerField()
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    step = serializers.UUIDField(allow_null=True)
    data = serializers.JSONField()  # type: ignore[assignment]  # a field, not the attribute
