"""The admin of holds: who stopped what, and lifting it. They are placed on the Operations page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages

from agents import holds
from agents.models import Hold
from projects.administration import ReadOnlyAdmin, badge
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from agents.models import Agent


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """Holds, open ones first."""

    list_display = ["scope", "what", "shown_state", "placed_by", "placed_at", "lifted_by"]
    list_select_related = ["task", "agent", "project"]
    list_filter = ["scope", ("lifted_at", admin.EmptyFieldListFilter)]
    ordering = ["-id"]
    actions = ("lift",)
    fields = [
        *["scope", "task", "agent", "project", "shown_state", "reason"],
        *["placed_by", "placed_at", "lifted_by", "lifted_at"],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hold]:
        """Load the people of all rows at once."""
        return super().get_queryset(request).prefetch_related("placed_by", "lifted_by")

    @admin.display(description="what")
    def what(self, hold: Hold) -> str:
        """The task, agent or project; nothing named: everything."""
        return str(hold.task or hold.agent or hold.project or "Everything")

    @admin.display(description="state", ordering="lifted_at")
    def shown_state(self, hold: Hold) -> SafeString:
        """Open or lifted."""
        return badge("Lifted", "muted") if hold.lifted_at else badge("Held", "warn")

    @admin.action(description="Lift the selected holds")
    def lift(self, request: Any, queryset: QuerySet[Hold]) -> None:
        """Let go on what they stopped, as far as this person may."""
        for hold in queryset.filter(lifted_at=None):
            try:
                holds.lift(hold, by=request.user, address=request.META.get("REMOTE_ADDR"))
                self.message_user(request, f"Lifted: {self.what(hold)}.", messages.SUCCESS)
            except CountersignError as error:
                self.message_user(request, f"{self.what(hold)}: {error}", messages.ERROR)


@admin.action(description="Hold the selected agents")
def hold_agents(model_admin: Any, request: Any, queryset: QuerySet[Agent]) -> None:
    """Stop these agents in all projects until the hold is lifted."""
    for agent in queryset:
        try:
            holds.place(by=request.user, agent=agent, address=request.META.get("REMOTE_ADDR"))
            model_admin.message_user(request, f"{agent} is held.", messages.SUCCESS)
        except CountersignError as error:
            model_admin.message_user(request, str(error), messages.ERROR)
