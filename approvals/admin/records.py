"""What was asked, signed and done, for looking only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Exists, OuterRef

from approvals import signing
from approvals.models import SEAL, SEAL_OF_APPROVAL, Approval, Comment, Edit, Effect, Signature
from projects.administration import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    link_to,
    pretty,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

_TONES = {
    "pending": "ink",
    "approved": "ok",
    "done": "ok",
    "changes_requested": "warn",
    "stale": "warn",
    "unknown": "warn",
    "rejected": "bad",
    "failed": "bad",
    "planned": "ink",
    "doing": "run",
}


class Stateful:
    """A column that shows the state as a badge."""

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: Any) -> SafeString:
        """Word and tone."""
        return badge(row.get_state_display(), _TONES.get(row.state, "muted"))


class SignatureInline(ReadOnlyInline):
    """Who decided what."""

    model = Signature
    fields = ["signer", "verdict", "note", "at", "address"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Signature]:
        """Load what a row names."""
        return super().get_queryset(request).select_related("signer")


class CommentInline(ReadOnlyInline):
    """What reviewers said of hunks."""

    model = Comment
    fields = ["author", "hunk", "verdict", "note", "goes_to"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Comment]:
        """Load what a row names."""
        return super().get_queryset(request).select_related("author", "hunk", "goes_to")


class EffectInline(Stateful, ReadOnlyInline):
    """What was to be done, and whether it was."""

    model = Effect
    fields = ["name", "shown_state", "not_before", "started_at", "finished_at", "error"]

    @admin.display(description="effect")
    def name(self, effect: Effect) -> SafeString | str:
        """A link to it."""
        return link_to(effect, effect.get_kind_display())


@admin.register(Approval)
class ApprovalAdmin(Stateful, ReadOnlyAdmin):
    """Sealed requests for a decision; decided in the console, nowhere else."""

    list_display = ["label", "project", "shown_state", "risk", "requested_at", "decided_by"]
    list_select_related = ["task", "proposal"]
    list_filter = ["state", "risk", "project"]
    ordering = ["-id"]
    inlines = [SignatureInline, EffectInline, CommentInline]
    fields = [
        *["label", "project", "task", "proposal", "policy", "requester", "single_person"],
        *["shown_state", "risk", "reason", "requested_at", "expires_at", "decided_at"],
        *["decided_by", "digest", "sealed"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        """Leave the sealed text out of lists, and load what a row names."""
        # Joins are few: to plan seven takes longer than to read.
        rows = super().get_queryset(request).select_related("task", "proposal")
        rows = rows.prefetch_related("project", "requester", "decided_by")
        long = ("proposal__summary", "proposal__report", "proposal__checks", "task__request")
        edited = Exists(Edit.objects.filter(approval=OuterRef("pk")))
        shown: QuerySet[Any] = rows.defer(*SEAL, *long).annotate(edited=edited)
        return shown

    @admin.display(description="state", ordering="state")
    def shown_state(self, approval: Any) -> SafeString:
        """Word and tone; what a person edited is stale, too."""
        return badge("Edited", "ink") if approval.edited else super().shown_state(approval)

    @admin.display(description="approval")
    def label(self, approval: Approval) -> str:
        """T-12 round 1."""
        return f"{approval.task.label} round {approval.proposal.round}"

    @admin.display(description="sealed snapshot")
    def sealed(self, approval: Approval) -> SafeString:
        """What the signature covers; the nonce is left out."""
        shown = {**approval.snapshot, "nonce": "not shown here"}
        return pretty(shown)


@admin.register(Signature)
class SignatureAdmin(ReadOnlyAdmin):
    """Signatures; never changed by anybody."""

    list_display = ["signer", "verdict", "approval_of", "at"]
    list_select_related = ["approval__task", "approval__proposal"]
    list_filter = ["verdict", "signer"]
    ordering = ["-id"]
    fields = [
        *["signer", "verdict", "approval_of", "requester", "single_person", "note"],
        *["digest", "address", "at", "key", "mark", "genuine"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Signature]:
        """Load what a row names, without the sealed text."""
        rows = super().get_queryset(request)
        rows = rows.select_related("approval__task", "approval__proposal")
        return rows.prefetch_related("signer", "requester").defer(*SEAL_OF_APPROVAL)

    @admin.display(description="approval")
    def approval_of(self, signature: Signature) -> SafeString | str:
        """What was decided."""
        return link_to(signature.approval)

    @admin.display(description="mark is genuine", boolean=True)
    def genuine(self, signature: Signature) -> bool:
        """Whether the mark was made by this console over what stands here."""
        return signing.is_genuine(signature)


@admin.register(Effect)
class EffectAdmin(Stateful, ReadOnlyAdmin):
    """Effects; carried out by the effects worker alone."""

    list_display = ["kind", "approval_of", "shown_state", "not_before", "finished_at"]
    list_filter = ["state", "kind"]
    ordering = ["-id"]
    fields = [
        *["kind", "approval_of", "position", "shown_state", "what", "outcome", "error"],
        *["worker", "not_before", "started_at", "finished_at"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Effect]:
        """Load what a row names, without the sealed text."""
        rows = super().get_queryset(request)
        rows = rows.select_related("approval__task", "approval__proposal")
        return rows.defer(*SEAL_OF_APPROVAL)

    @admin.display(description="approval")
    def approval_of(self, effect: Effect) -> SafeString | str:
        """What was decided."""
        return link_to(effect.approval)

    @admin.display(description="arguments")
    def what(self, effect: Effect) -> SafeString:
        """What was sealed."""
        return pretty(effect.arguments)

    @admin.display(description="result")
    def outcome(self, effect: Effect) -> SafeString:
        """What came of it."""
        return pretty(effect.result)
