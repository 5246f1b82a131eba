"""The admin of tool servers, their pinned tools, and which agent may use which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db.models import Count, Q

from agents.models import Grant, Tool, ToolServer
from agents.models.tools import Transport
from projects.administration import (
    AuditedAdmin,
    LinesField,
    ModelForm,
    RowsInline,
    badge,
    fill_choices,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


class GrantForm(ModelForm):
    """One permission; globs one per line."""

    paths = LinesField(rows=2, required=False, help_text="Globs, one per line. Empty: any path.")


class GrantInline(RowsInline):
    """What an agent may use, with what that can do."""

    model = Grant
    form = GrantForm
    fields = ["tool", "access", "paths"]
    readonly_fields = ["access"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Grant]:
        """Load what a row names."""
        return super().get_queryset(request).select_related("agent", "tool__server")

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Read the tools once per page."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return fill_choices(field, Tool.objects.select_related("server"))

    @admin.display(description="can")
    def access(self, grant: Grant) -> SafeString | str:
        """Read or write."""
        return access_of(grant.tool) if grant.tool_id else "-"


def access_of(tool: Tool) -> SafeString:
    """Say what a tool can do, by its own pinned definition."""
    if tool.read_only:
        return badge("read", "muted")
    return badge("write", "warn") if tool.idempotent else badge("write, not repeatable", "bad")


class ToolInline(RowsInline):
    """The tools a server offered when they were pinned; ours are the switch and when a call asks."""

    model = Tool
    can_delete = False
    fields = ["name", "about", "access", "agents", "digest", "asks", "enabled"]
    readonly_fields = ["name", "about", "access", "agents", "digest"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tool]:
        """Load what a row names."""
        tools = super().get_queryset(request).select_related("server")
        return tools.prefetch_related("grants__agent")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: tools are what their server says, not what somebody types."""
        return False

    @admin.display(description="description")
    def about(self, tool: Tool) -> str:
        """Its first line."""
        return (tool.description.strip().splitlines() or ["-"])[0][:160]

    @admin.display(description="can")
    def access(self, tool: Tool) -> SafeString:
        """Read or write."""
        return access_of(tool)

    @admin.display(description="granted to")
    def agents(self, tool: Tool) -> str:
        """Who may use it."""
        return ", ".join(sorted(grant.agent.name for grant in tool.grants.all())) or "nobody"

    @admin.display(description="definition")
    def digest(self, tool: Tool) -> str:
        """The start of the digest it is pinned by."""
        return tool.definition_digest[:12] or "-"


class ToolServerForm(ModelForm):
    """Where a tool server is."""

    transport = forms.ChoiceField(choices=Transport.choices)

    def clean(self) -> dict[str, Any]:
        """Take only servers that can be reached safely."""
        cleaned = super().clean() or {}
        transport, target = cleaned.get("transport"), cleaned.get("target", "")
        if transport == Transport.BUNDLED and self.instance.transport != Transport.BUNDLED:
            self.add_error("transport", "Bundled servers come with Countersign; choose HTTP.")
        if transport == Transport.STDIO:
            self.add_error(
                "transport",
                "A stdio server is a command on this machine. It comes with an allow-list file "
                "of commands that this installation does not have yet.",
            )
        if transport == Transport.HTTP:
            self._check_url(target)
        return cleaned

    def _check_url(self, target: str) -> None:
        try:
            URLValidator(schemes=["http", "https"])(target)
        except ValidationError:
            self.add_error("target", "Give the server's URL, e.g. https://tools.example.com/mcp.")
        if "@" in target:
            self.add_error("target", "Keep user names and passwords out of the URL.")


@admin.register(ToolServer)
class ToolServerAdmin(AuditedAdmin):
    """Tool servers are switched off, not deleted: the ledger of tool calls names them."""

    form = ToolServerForm
    list_display = ["name", "slug", "transport", "target", "reading", "writing", "enabled"]
    list_filter = ["transport", "enabled"]
    search_fields = ["name", "slug", "target"]
    fields = ["name", "slug", "transport", "target", "enabled"]
    inlines = [ToolInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ToolServer]:
        """Count the tools in the same query."""
        servers: QuerySet[ToolServer] = super().get_queryset(request)
        return servers.annotate(
            reading=Count("tools", Q(tools__read_only=True)),
            writing=Count("tools", Q(tools__read_only=False)),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A bundled server is where it is."""
        if obj is not None and obj.transport == Transport.BUNDLED:
            return ["slug", "transport", "target"]
        return ["slug"] if obj else []

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Tools hang on a server that exists."""
        return list(self.inlines) if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    @admin.display(description="reading tools", ordering="reading")
    def reading(self, server: Any) -> int:
        """How many only read."""
        return int(server.reading)

    @admin.display(description="writing tools", ordering="writing")
    def writing(self, server: Any) -> int:
        """How many write."""
        return int(server.writing)
