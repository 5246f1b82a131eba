"""Tasks and everything done for them, for looking only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from agents.admin.calls import ModelCallInline
from agents.models import (
    Attempt,
    Claim,
    Escalation,
    Event,
    FileChange,
    Hunk,
    Proposal,
    Step,
    Task,
    ToolCall,
)
from projects.administration import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    joined,
    link_to,
    list_link,
    pretty,
    verbatim,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

_TONES = {
    "done": "ok",
    "finished": "ok",
    "proven": "ok",
    "working": "run",
    "leased": "run",
    "running": "run",
    "started": "run",
    "executing": "ink",
    "review": "ink",
    "needs_human": "warn",
    "waiting_human": "warn",
    "blocked": "warn",
    "escalated": "warn",
    "open": "warn",
    "not_checkable": "warn",
    "unknown": "warn",
    "contradicted": "bad",
    "failed": "bad",
    "refused": "bad",
    "rejected": "bad",
    "lost": "bad",
}


def state_badge(row: Any) -> SafeString:
    """Return the state as word and tone."""
    return badge(row.get_state_display(), _TONES.get(row.state, "muted"))


class Stateful:
    """A column that shows the state as a badge."""

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: Any) -> SafeString:
        """Word and tone."""
        return state_badge(row)


class StepInline(Stateful, ReadOnlyInline):
    """The steps of a task."""

    model = Step
    fields = ["name", "agent", "round", "shown_state", "attempt", "started_at", "finished_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        """Load what a row names, without the instructions."""
        steps = super().get_queryset(request).select_related("task", "agent")
        return steps.defer("instructions", "result", "feedback", "task__request")

    @admin.display(description="step")
    def name(self, step: Step) -> SafeString | str:
        """A link to it."""
        return link_to(step, step.title)


@admin.register(Task)
class TaskAdmin(Stateful, ReadOnlyAdmin):
    """Tasks; acts on them are in the console, where their rules are."""

    list_display = ["label", "title", "project", "requester", "shown_state", "round", "created_at"]
    list_display_links = ["label", "title"]
    list_select_related = ["project", "requester"]
    list_filter = ["state", "project", "model"]
    search_fields = ["title"]
    search_help_text = "Words of the title, or a number such as T-12."
    ordering = ["-id"]
    inlines = [StepInline]
    fieldsets = [
        (None, {"fields": ["label", "title", "project", "requester", "shown_state", "reason"]}),
        ("Request", {"fields": ["asked"]}),
        ("More", {"fields": ["more"]}),
        (
            "Use",
            {
                "fields": [
                    *["model", "model_calls", "tool_calls", "input_tokens"],
                    "output_tokens",
                    "usd",
                    "limits",
                ]
            },
        ),
        ("Dates", {"fields": ["created_at", "started_at", "finished_at", "base_commit"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        """Leave the long texts out of lists."""
        return super().get_queryset(request).defer("context", "request")

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> Any:
        """Find by number too, as people say it: T-12 or 12."""
        number = search_term.strip().upper().removeprefix("T-")
        if number.isascii() and number.isdigit() and len(number) < 19:
            return self.model.objects.select_related("project", "requester").filter(
                number=int(number)
            ).order_by("-id"), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="number", ordering="number")
    def label(self, task: Task) -> str:
        """T-12."""
        return task.label

    @admin.display(description="in the person's words")
    def asked(self, task: Task) -> SafeString | str:
        """The request as it was typed."""
        return verbatim(task.request)

    @admin.display(description="of this task")
    def more(self, task: Task) -> SafeString:
        """Links to the lists that hang on it."""
        lists = ((Event, "Events"), (Escalation, "Escalations"), (Proposal, "Proposals"))
        links = [list_link(model, text, task__id__exact=task.pk) for model, text in lists]
        return joined(links)


class AttemptInline(Stateful, ReadOnlyInline):
    """The tries of a step."""

    model = Attempt
    fields = ["name", "shown_state", "model", "turns", "input_tokens", "output_tokens", "worker"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Leave the conversation out."""
        return super().get_queryset(request).defer("checkpoint")

    @admin.display(description="attempt")
    def name(self, attempt: Attempt) -> SafeString | str:
        """A link to it."""
        return link_to(attempt, f"attempt {attempt.number}")


@admin.register(Step)
class StepAdmin(Stateful, ReadOnlyAdmin):
    """Steps with their attempts."""

    list_display = ["title", "task", "agent", "kind", "shown_state", "round", "attempt"]
    list_select_related = ["task", "agent"]
    list_filter = ["state", "kind", "agent"]
    search_fields = ["title", "key"]
    ordering = ["-id"]
    inlines = [AttemptInline]
    fields = [
        *["title", "task", "round", "key", "kind", "agent", "version", "shown_state", "reason"],
        *["told", "acceptance", "files", "asked", "waits", "attempt", "lease_owner", "lease_until"],
        *["base_commit", "result_commit", "answer", "created_at", "started_at", "finished_at"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        """Load what a page names."""
        return super().get_queryset(request).select_related("task", "agent", "version__agent")

    @admin.display(description="instructions")
    def told(self, step: Step) -> SafeString | str:
        """What the plan says."""
        return verbatim(step.instructions)

    @admin.display(description="feedback")
    def asked(self, step: Step) -> SafeString:
        """What people asked of it."""
        return pretty(step.feedback)

    @admin.display(description="result")
    def answer(self, step: Step) -> SafeString:
        """The validated result."""
        return pretty(step.result)


class ToolCallInline(Stateful, ReadOnlyInline):
    """The ledger of an attempt."""

    model = ToolCall
    fields = ["name", "server", "shown_state", "summary", "started_at", "finished_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ToolCall]:
        """Leave the long texts out."""
        return super().get_queryset(request).defer("result", "arguments")

    @admin.display(description="tool")
    def name(self, call: ToolCall) -> SafeString | str:
        """A link to it."""
        return link_to(call, call.tool)


@admin.register(Attempt)
class AttemptAdmin(Stateful, ReadOnlyAdmin):
    """Attempts with their ledger; the stored conversation is not shown."""

    list_display = ["id", "step", "number", "shown_state", "model", "turns", "started_at"]
    list_select_related = ["step__task"]
    list_filter = ["state", "model"]
    ordering = ["-id"]
    inlines = [ModelCallInline, ToolCallInline]
    fields = [
        *["step", "number", "shown_state", "error", "model", "turns", "input_tokens"],
        *["output_tokens", "usd", "worker", "resumes", "started_at", "finished_at"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Leave the conversation out."""
        return super().get_queryset(request).select_related("step__task").defer("checkpoint")


@admin.register(ToolCall)
class ToolCallAdmin(Stateful, ReadOnlyAdmin):
    """The ledger of tool calls."""

    list_display = ["tool", "server", "attempt_of", "shown_state", "summary", "started_at"]
    list_select_related = ["attempt__step__task"]
    list_filter = ["state", "server", "tool"]
    ordering = ["-id"]
    fields = [
        *["tool", "server", "attempt_of", "shown_state", "summary", "sandbox", "asked", "answer"],
        *["tree", "started_at", "finished_at"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ToolCall]:
        """Load what a row names, without conversations."""
        calls = super().get_queryset(request).select_related("attempt__step__task")
        return calls.defer("attempt__checkpoint")

    @admin.display(description="attempt")
    def attempt_of(self, call: ToolCall) -> SafeString | str:
        """Whose call it was."""
        return link_to(call.attempt, f"{call.attempt.step}, attempt {call.attempt.number}")

    @admin.display(description="arguments")
    def asked(self, call: ToolCall) -> SafeString:
        """What the model asked for."""
        return pretty(call.arguments)

    @admin.display(description="result")
    def answer(self, call: ToolCall) -> SafeString | str:
        """What the model saw."""
        return verbatim(call.result)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The event log."""

    list_display = ["seq", "kind", "task", "step", "at"]
    list_display_links = ["seq", "kind"]
    list_select_related = ["task", "step__task"]
    show_facets = admin.ShowFacets.NEVER
    list_filter = ["kind"]
    ordering = ["-id"]
    fields = ["task", "seq", "kind", "step", "facts", "at"]

    @admin.display(description="data")
    def facts(self, event: Event) -> SafeString:
        """The data for reading."""
        return pretty(event.data)


@admin.register(Escalation)
class EscalationAdmin(Stateful, ReadOnlyAdmin):
    """Escalations; they are answered in the console."""

    list_display = ["rule", "task", "step", "shown_state", "choice", "raised_at", "resolved_by"]
    list_select_related = ["task", "step__task"]
    list_filter = ["state", "rule"]
    ordering = ["-id"]
    fields = [
        *["task", "step", "attempt", "rule", "detail", "facts", "options", "shown_state"],
        *["choice", "note", "raised_at", "resolved_at", "resolved_by"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Escalation]:
        """Load the people of all rows at once."""
        return super().get_queryset(request).prefetch_related("resolved_by")

    @admin.display(description="evidence")
    def facts(self, escalation: Escalation) -> SafeString:
        """The evidence for reading."""
        return pretty(escalation.evidence)


class ClaimInline(ReadOnlyInline):
    """What the agents claim, and what our checks say."""

    model = Claim
    fields = ["text", "verdict", "evidence"]


class FileChangeInline(ReadOnlyInline):
    """The files of a change set."""

    model = FileChange
    fields = ["path", "status", "added", "removed", "hunks_of"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[FileChange]:
        """Load the hunks' authors at once."""
        return super().get_queryset(request).prefetch_related("hunks__author_step__agent")

    @admin.display(description="written by")
    def hunks_of(self, change: FileChange) -> str:
        """The agents whose hunks it has."""
        return ", ".join(sorted({_author(hunk) for hunk in change.hunks.all()})) or "-"


def _author(hunk: Hunk) -> str:
    return hunk.author_step.agent.name if hunk.author_step else "nobody"


@admin.register(Proposal)
class ProposalAdmin(ReadOnlyAdmin):
    """What was put up for signature."""

    list_display = ["title", "task", "round", "version", "kind", "model", "created_at"]
    list_select_related = ["task"]
    list_filter = ["kind", "model"]
    search_fields = ["title"]
    ordering = ["-id"]
    inlines = [FileChangeInline, ClaimInline]
    fields = [
        *["title", "task", "round", "version", "kind", "model", "said", "reported"],
        *["base_commit", "head_commit", "tree", "added", "removed", "run", "warned", "created_at"],
    ]

    @admin.display(description="summary")
    def said(self, proposal: Proposal) -> SafeString | str:
        """The aggregator's words."""
        return verbatim(proposal.summary)

    @admin.display(description="report")
    def reported(self, proposal: Proposal) -> SafeString | str:
        """The report as it was written."""
        return verbatim(proposal.report)

    @admin.display(description="checks")
    def run(self, proposal: Proposal) -> SafeString:
        """Our own runs."""
        return pretty(proposal.checks)

    @admin.display(description="warnings")
    def warned(self, proposal: Proposal) -> SafeString:
        """What a reviewer must see."""
        return pretty(proposal.warnings)
