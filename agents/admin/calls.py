"""What models answered: how long each answer took and what it used, for looking only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from agents.models import ModelCall
from projects.administration import ReadOnlyAdmin, ReadOnlyInline, link_to

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


class Measured:
    """Columns of what an answer took and cost."""

    @admin.display(description="seconds")
    def seconds(self, call: ModelCall) -> str:
        """From the question to the last word."""
        return f"{(call.finished_at - call.started_at).total_seconds():.1f}"

    @admin.display(description="cost")
    def cost(self, call: ModelCall) -> str:
        """A price nobody knows is not nothing."""
        return "unknown" if call.usd is None else f"${call.usd:.4f}"


class ModelCallInline(Measured, ReadOnlyInline):
    """The answers of an attempt."""

    model = ModelCall
    fields = ["name", "seconds", "input_tokens", "output_tokens", "cost", "repairs", "started_at"]

    @admin.display(description="model")
    def name(self, call: ModelCall) -> SafeString | str:
        """A link to it."""
        return link_to(call, call.model)


@admin.register(ModelCall)
class ModelCallAdmin(Measured, ReadOnlyAdmin):
    """The answers of models; what was said is in the console's trace."""

    list_display = [
        *["model", "attempt_of", "seconds", "input_tokens", "output_tokens", "cost", "started_at"],
    ]
    list_select_related = ["attempt__step__task"]
    list_filter = ["model"]
    ordering = ["-id"]
    fields = [
        *["model", "attempt_of", "response", "input_tokens", "output_tokens", "cost", "repairs"],
        *["seconds", "started_at", "finished_at"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelCall]:
        """Load what a row names, without conversations and long texts."""
        calls = super().get_queryset(request).select_related("attempt__step__task")
        return calls.defer(
            "attempt__checkpoint",
            *(f"attempt__step__{name}" for name in ("instructions", "result", "feedback")),
            *(f"attempt__step__task__{name}" for name in ("request", "context")),
        )

    @admin.display(description="attempt")
    def attempt_of(self, call: ModelCall) -> SafeString | str:
        """Whose answer it was."""
        return link_to(call.attempt, f"{call.attempt.step}, attempt {call.attempt.number}")
