"""The admin of memories: looked at here, retired and forgotten through the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q
from django.template.response import TemplateResponse

from memory import lessons
from memory.lifecycle import MemoryState
from memory.models import Memory, MemoryUse
from projects.administration import ReadOnlyAdmin, ReadOnlyInline, badge, link_to, pretty
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

_TONES = {
    MemoryState.PROPOSED: "ink",
    MemoryState.QUARANTINED: "warn",
    MemoryState.ACTIVE: "ok",
}


class UseInline(ReadOnlyInline):
    """The latest receipts of a memory."""

    model = MemoryUse
    fields = ["at", "task", "agent_slug", "attempt", "rank", "score", "shown_tokens", "why"]
    ordering = ["-at"]

    @admin.display(description="score parts")
    def why(self, use: MemoryUse) -> SafeString:
        """Why it was recalled."""
        return pretty(use.parts)


@admin.register(Memory)
class MemoryAdmin(ReadOnlyAdmin):
    """Memories. Keeping one is a lead's act in the console; here they are only taken away."""

    list_display = ["sentence", "project", "shown_state", "kind", "agent_slug", "used_count", "at"]
    list_select_related = ["project"]
    list_filter = ["state", "kind", "source", "project"]
    search_fields = ["content", "subject"]
    ordering = ["-id"]
    actions = ["retire", "forget"]
    inlines = [UseInline]
    fieldsets = [
        (None, {"fields": ["content", "shown_state", "project", "owner", "kind", "agent_slug"]}),
        ("About", {"fields": ["subject", "paths", "tags", "importance", "pinned"]}),
        ("Where it comes from", {"fields": ["source", "source_label", "proposed_by", "evidence"]}),
        ("Who answers for it", {"fields": ["approved_by", "approved_at", "replaced_by"]}),
        ("Dates", {"fields": ["recorded_at", "valid_from", "valid_to"]}),
        ("Use", {"fields": ["used_count", "helped_count", "hurt_count", "last_used_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Memory]:
        """Load what every page names; a private memory is its owner's alone, admins included."""
        rows = super().get_queryset(request).select_related("project", "superseded_by")
        return rows.filter(Q(owner=None) | Q(owner_id=request.user.pk))

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Let admins take memories away."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.display(description="memory", ordering="content")
    def sentence(self, memory: Memory) -> str:
        """What it says, or that it was forgotten."""
        return memory.content or "(forgotten)"

    @admin.display(description="recorded", ordering="recorded_at")
    def at(self, memory: Memory) -> Any:
        """When it was written down."""
        return memory.recorded_at

    @admin.display(description="state", ordering="state")
    def shown_state(self, memory: Memory) -> SafeString:
        """Word and tone."""
        return badge(memory.get_state_display(), _TONES.get(memory.state, "muted"))  # type: ignore[call-overload]

    @admin.display(description="replaced by")
    def replaced_by(self, memory: Memory) -> SafeString | str:
        """The newer version."""
        return link_to(memory.superseded_by)

    @admin.action(description="Retire: no longer recalled, kept", permissions=["remove"])
    def retire(self, request: Any, queryset: QuerySet[Memory]) -> None:
        """Retire the chosen memories that can be retired."""
        self._each(request, queryset, "retired", lessons.retire)

    @admin.action(description="Forget: erase for good", permissions=["remove"])
    def forget(self, request: Any, queryset: QuerySet[Memory]) -> HttpResponse | None:
        """Erase the chosen memories after asking once more."""
        if "confirmed" in request.POST:
            self._each(request, queryset, "forgotten", lessons.forget)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Forget for good?",
            "opts": self.opts,
            "memories": queryset.exclude(state=MemoryState.ERASED),
            "chosen": request.POST.getlist("_selected_action"),
        }
        return TemplateResponse(request, "admin/memory/memory/forget.html", context)

    def _each(
        self, request: Any, rows: QuerySet[Memory], done: str, act: Callable[..., None]
    ) -> None:
        refused: list[str] = []
        count, address = 0, request.META.get("REMOTE_ADDR")
        for row in rows:
            try:
                with transaction.atomic():
                    act(row, by=request.user, address=address)
                count += 1
            except CountersignError as error:
                refused.append(f"{str(row)[:60] or row.pk}: {error}")
        self.message_user(request, f"{count} {done}.", messages.SUCCESS if count else messages.INFO)
        for line in refused[:5]:
            self.message_user(request, line, messages.WARNING)
