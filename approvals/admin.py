"""The admin of policies, and what was asked, signed and done, for looking only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpResponseRedirect
from django.urls import reverse

from approvals import policies, signing
from approvals.models import SEAL, SEAL_OF_APPROVAL, Approval, Comment, Effect, Policy, Signature
from approvals.policies import RULES
from projects.administration import (
    AuditedAdmin,
    LinesField,
    ModelForm,
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


class PolicyForm(ModelForm):
    """How decisions are made in a project; globs one per line."""

    signatures_needed = forms.IntegerField(min_value=1, max_value=5, initial=1)
    undo_seconds = forms.IntegerField(
        min_value=0,
        max_value=300,
        initial=10,
        help_text="0 to 300: an approved effect waits this long and can be undone.",
    )
    expires_hours = forms.IntegerField(
        min_value=1,
        max_value=2_160,
        initial=72,
        help_text="A pending approval ends then, undecided.",
    )
    money_paths = LinesField(
        rows=5, required=False, help_text="Changes here are at least medium risk. One glob a line."
    )
    protected_paths = LinesField(
        rows=5, required=False, help_text="Changes here are high risk. One glob per line."
    )

    class Meta:
        model = Policy
        fields: ClassVar = ["project", *RULES]


@admin.register(Policy)
class PolicyAdmin(AuditedAdmin):
    """A change puts a new version in force; what was signed keeps the version it was signed under."""

    form = PolicyForm
    list_display = ["__str__", "project", "in_force", *RULES[:3], "created_by", "created_at"]
    list_select_related = ["project", "created_by"]
    list_filter = ["active", "project"]
    readonly_fields = ["version", "in_force", "created_by", "created_at"]
    actions = None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Show what version it is."""
        return ["project", *(self.readonly_fields if obj else []), *RULES]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        """Load what every page names."""
        return super().get_queryset(request).select_related("project")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A policy stays with its project."""
        return [*self.readonly_fields, "project"] if obj else list(self.readonly_fields)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for versions no longer in force."""
        return super().has_change_permission(request, obj) and (obj is None or obj.active)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def save_model(self, request: Any, obj: Policy, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Put a new version in force; the version that was edited stays as it was."""
        names = [name for name in form.changed_data if name in RULES] if change else RULES
        if change and not names:
            return
        fields = {name: form.cleaned_data[name] for name in names}
        address = request.META.get("REMOTE_ADDR") or None
        new = policies.change(obj.project, by=request.user, address=address, **fields)
        obj.pk = new.pk
        obj.refresh_from_db()

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Nothing: the change of a policy writes its own audit entry."""

    def response_change(self, request: Any, obj: Any) -> Any:
        """Go on to the new version."""
        self.message_user(request, f"Version {obj.version} is in force in {obj.project}.")
        return HttpResponseRedirect(reverse("admin:approvals_policy_change", args=[obj.pk]))

    @admin.display(description="in force", boolean=True, ordering="active")
    def in_force(self, policy: Policy) -> bool:
        """Whether new approvals are sealed with it."""
        return policy.active


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
        return rows.defer(*SEAL, *long)

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
