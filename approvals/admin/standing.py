"""Standing grants in the admin, for looking only; revoked in the console, by a tech lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from approvals import signing
from approvals.models import StandingGrant, StandingUse
from projects.administration import ReadOnlyAdmin, ReadOnlyInline, badge, pretty, verbatim

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

_TONES = {"active": "ok", "revoked": "bad"}


class UseInline(ReadOnlyInline):
    """The calls it let through."""

    model = StandingUse
    fields = ["number", "call", "at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StandingUse]:
        """Load what a row names, without the sealed text."""
        rows = super().get_queryset(request).select_related("approval__task")
        return rows.defer("approval__snapshot").order_by("-number")

    @admin.display(description="call")
    def call(self, use: StandingUse) -> str:
        """Which, of which task."""
        return f"{use.approval_id} of {use.approval.task.label}"


@admin.register(StandingGrant)
class StandingGrantAdmin(ReadOnlyAdmin):
    """What goes through without asking."""

    list_display = ["tool", "server", "project", "shown_state", "hits", "max_hits", "expires_at"]
    list_select_related = ["project"]
    list_filter = ["project"]
    ordering = ["-id"]
    inlines = [UseInline]
    fields = [
        *["tool", "server", "project", "agent", "shown_state", "what", "granted_by", "at"],
        *["expires_at", "max_hits", "hits", "used_at", "revoked_at", "revoked_by", "origin_id"],
        *["pinned", "key", "mark", "genuine"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Load how each stands and what a row names."""
        rows = StandingGrant.objects.with_state().order_by("-id")
        return rows.select_related("project", "agent", "granted_by", "revoked_by")

    @admin.display(description="state")
    def shown_state(self, grant: Any) -> SafeString:
        """Word and tone."""
        return badge(grant.state.replace("_", " "), _TONES.get(grant.state, "muted"))

    @admin.display(description="arguments")
    def what(self, grant: StandingGrant) -> SafeString | str:
        """What each may be, as it was marked."""
        return verbatim(grant.patterns)

    @admin.display(description="tool as pinned")
    def pinned(self, grant: StandingGrant) -> SafeString:
        """With its server and definition."""
        return pretty(grant.pin)

    @admin.display(description="mark is genuine", boolean=True)
    def genuine(self, grant: StandingGrant) -> bool:
        """Whether the mark was made by this console over what stands here."""
        return signing.is_genuine_grant(grant)
