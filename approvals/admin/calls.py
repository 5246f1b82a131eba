"""Calls of tools that agents asked for, and the decisions on them, for looking only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin

from approvals import signing
from approvals.models import CallApproval, CallSignature
from projects.administration import ReadOnlyAdmin, ReadOnlyInline, badge, link_to, pretty

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

_TONES = {
    "pending": "warn",
    "allowed": "ink",
    "calling": "run",
    "done": "ok",
    "failed": "bad",
    "refused": "bad",
    "unknown": "warn",
}


class CallSignatureInline(ReadOnlyInline):
    """Who decided what."""

    model = CallSignature
    fields = ["signer", "verdict", "note", "at", "address"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallSignature]:
        """Load what a row names."""
        return super().get_queryset(request).select_related("signer")


@admin.register(CallApproval)
class CallApprovalAdmin(ReadOnlyAdmin):
    """Calls of tools; decided in the console, nowhere else, and made by the effects worker alone."""

    list_display = [
        "label",
        "project",
        "agent",
        "risk",
        "shown_state",
        "requested_at",
        "decided_by",
    ]
    list_filter = ["state", "risk", "free", "project"]
    search_fields = ["call__tool", "call__server", "agent", "task__title"]
    search_help_text = "Words of the tool, the server, the agent or the task's title, or T-12."
    ordering = ["-id"]
    inlines = [CallSignatureInline]
    fields = [
        *["label", "project", "task_of", "agent", "requester", "single_person", "free"],
        *["shown_state", "risk", "reason", "requested_at", "expires_at", "decided_at"],
        *["decided_by", "asked_for", "made_with", "worker", "sent_at", "finished_at"],
        *["answer", "digest", "sealed"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallApproval]:
        """Leave the sealed text out of lists, and load what a row names."""
        rows = super().get_queryset(request).select_related("task", "call")
        rows = rows.prefetch_related("project", "requester", "decided_by")
        return rows.defer("snapshot", "task__request", "task__context", "call__arguments")

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> Any:
        """Find by the number of the task too: T-12."""
        number = search_term.strip().upper()
        if number.startswith("T-") and number[2:].isascii() and number[2:].isdigit():
            return queryset.filter(task__number=int(number[2:][:18])), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="call", ordering="id")
    def label(self, row: CallApproval) -> str:
        """T-12: pay__pay."""
        return f"{row.task.label}: {row.call.tool}"

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: CallApproval) -> SafeString:
        """Word and tone."""
        return badge(row.get_state_display(), _TONES.get(row.state, "muted"))

    @admin.display(description="task")
    def task_of(self, row: CallApproval) -> SafeString | str:
        """A link to it."""
        return link_to(row.task)

    @admin.display(description="arguments the agent asked for")
    def asked_for(self, row: CallApproval) -> SafeString:
        """As they were sealed."""
        return pretty(row.original)

    @admin.display(description="arguments a person put in their place")
    def made_with(self, row: CallApproval) -> SafeString | str:
        """These are called."""
        return pretty(json.loads(row.edited)) if row.edited else "None"

    @admin.display(description="what the agent was told")
    def answer(self, row: CallApproval) -> str:
        """The answer of the tool, or why there is none; of a call asked again, that request has it."""
        return row.told()

    @admin.display(description="sealed snapshot")
    def sealed(self, row: CallApproval) -> SafeString:
        """What the signature covers; the nonce is left out."""
        return pretty({**row.snapshot, "nonce": "not shown here"})


@admin.register(CallSignature)
class CallSignatureAdmin(ReadOnlyAdmin):
    """Decisions on calls; never changed by anybody."""

    list_display = ["signer", "verdict", "call_of", "at"]
    list_filter = ["verdict", "signer"]
    ordering = ["-id"]
    fields = [
        *["signer", "verdict", "call_of", "requester", "single_person", "on_behalf_of", "note"],
        *["digest", "address", "at", "key", "mark", "genuine"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallSignature]:
        """Load what a row names, without the sealed text."""
        rows = super().get_queryset(request).select_related("approval__task", "approval__call")
        rows = rows.prefetch_related("signer", "requester")
        return rows.defer("approval__snapshot", "approval__edited", "approval__task__request")

    @admin.display(description="call")
    def call_of(self, signature: CallSignature) -> SafeString | str:
        """What was decided."""
        call = signature.approval
        return link_to(call, f"{call.task.label}: {call.call.tool}")

    @admin.display(description="mark is genuine", boolean=True)
    def genuine(self, signature: CallSignature) -> bool:
        """Whether the mark was made by this console over what stands here."""
        return signing.is_genuine(signature)
