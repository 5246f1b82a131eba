"""The admin of agents, their versions and the models they think with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Max, Q
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html

from agents.admin.drafting import differences, draft_from, draft_of, next_number, publish
from agents.admin.holding import hold_agents
from agents.admin.tools import GrantInline
from agents.models import Agent, AgentRole, AgentVersion, ModelProfile
from projects.administration import (
    AuditedAdmin,
    LinesField,
    ModelForm,
    ReadOnlyInline,
    badge,
    fill_choices,
    link_to,
    verbatim,
)
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

COLOURS = ["a-router", "a-code", "a-test", "a-docs", "a-agg", "agent-6", "agent-7", "agent-8"]
ICONS = [
    *["bot", "split", "code-xml", "flask-conical", "book-open", "pen-tool", "layers", "blocks"],
    *["bug", "database", "file-search", "git-merge", "globe", "list-checks", "search", "send"],
    *["shield", "terminal", "workflow", "wrench"],
]
_NEEDED = {AgentRole.ROUTER: "router", AgentRole.AGGREGATOR: "aggregator"}


class AgentForm(ModelForm):
    """Who an agent is. What it does is in its versions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, known in (("colour", COLOURS), ("icon", ICONS)):
            if name in self.fields:
                choices = list(dict.fromkeys([*known, getattr(self.instance, name) or known[0]]))
                widget = forms.Select(choices=[(choice, choice) for choice in choices])
                self.fields[name].widget = widget
        if "description" in self.fields:
            self.fields["description"].widget = forms.Textarea(attrs={"rows": 3})

    def clean(self) -> dict[str, Any]:
        """Keep one router and one aggregator at work: no task runs without them."""
        cleaned = super().clean() or {}
        role = cleaned.get("role", self.instance.role)
        if cleaned.get("enabled") is False and role in _NEEDED:
            others = Agent.objects.filter(role=role, enabled=True).exclude(pk=self.instance.pk)
            if not others.exists():
                raise ValidationError(
                    {"enabled": f"No task runs without a {_NEEDED[role]}; switch another on first."}
                )
        return cleaned


class VersionInline(ReadOnlyInline):
    """The versions of an agent, newest first."""

    model = AgentVersion
    fields = ["version", "state", "model_profile", "max_turns", "published_at", "published_by"]
    verbose_name_plural = "versions: a published one never changes, a change is a new draft"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentVersion]:
        """Load what a row names."""
        related = super().get_queryset(request)
        return related.select_related("agent", "model_profile", "published_by")

    @admin.display(description="version")
    def version(self, version: AgentVersion) -> SafeString | str:
        """A link to it."""
        return link_to(version, f"v{version.number}")

    @admin.display(description="state")
    def state(self, version: AgentVersion) -> SafeString:
        """Draft or published."""
        return badge("Published", "ok") if version.published_at else badge("Draft", "warn")


@admin.register(Agent)
class AgentAdmin(AuditedAdmin):
    """Agents are switched on and off, never deleted: their steps name them."""

    form = AgentForm
    list_display = ["name", "slug", "role", "newest", "tools", "enabled"]
    list_editable = ["enabled"]
    list_filter = ["role", "enabled"]
    search_fields = ["name", "slug", "description"]
    fields = [
        *["name", "slug", "role", "description", "colour", "icon", "enabled", "max_in_flight"],
        *["in_force", "draft"],
    ]
    actions = [hold_agents]
    readonly_fields = ["in_force", "draft"]
    inlines = [VersionInline, GrantInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        """Count what the list shows in the same query."""
        agents: QuerySet[Agent] = super().get_queryset(request)
        published = Max("versions__number", filter=Q(versions__published_at__isnull=False))
        return agents.annotate(
            newest=published,
            reading=Count("grants", Q(grants__tool__read_only=True), distinct=True),
            writing=Count("grants", Q(grants__tool__read_only=False), distinct=True),
        )

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Versions and grants hang on an agent that exists."""
        return list(self.inlines) if obj else []

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """The slug is in plans and memories, so it stays."""
        return [*self.readonly_fields, "slug"] if obj else list(self.readonly_fields)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Check the switches of the list like those of the form."""
        return super().get_changelist_form(request, **{**kwargs, "form": AgentForm})

    def response_add(self, request: Any, obj: Any, post_url_continue: Any = None) -> Any:
        """Go on to what it shall do."""
        self.message_user(request, f"{obj} can work once it has a published version.")
        add = reverse("admin:agents_agentversion_add")
        return HttpResponseRedirect(f"{add}?agent={obj.pk}")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    @admin.display(description="published", ordering="newest")
    def newest(self, agent: Any) -> SafeString | str:
        """The version new tasks get."""
        return f"v{agent.newest}" if agent.newest else badge("none yet", "warn")

    @admin.display(description="tools")
    def tools(self, agent: Any) -> SafeString:
        """How many it may read and write with."""
        reads = badge(f"{agent.reading} read", "muted")
        writes = badge(f"{agent.writing} write", "warn") if agent.writing else ""
        return format_html("{} {}", reads, writes)

    @admin.display(description="new tasks get")
    def in_force(self, agent: Agent) -> SafeString | str:
        """The published version, or what is missing."""
        version = agent.published() if agent.pk else None
        return link_to(version) if version else "Nothing yet: publish a version."

    @admin.display(description="draft")
    def draft(self, agent: Agent) -> SafeString | str:
        """The draft, or how to make one."""
        found = draft_of(agent) if agent.pk else None
        if found:
            return format_html("{} is being written", link_to(found))
        return "None. New draft, at the top, copies the published version for you to edit."


class VersionForm(ModelForm):
    """What an agent does: instructions, model and limits of a draft."""

    max_turns = forms.IntegerField(
        min_value=2, max_value=50, initial=5, help_text="One to act and one to report, at least."
    )
    max_tool_calls = forms.IntegerField(min_value=1, max_value=1_000, initial=60)
    max_tokens = forms.IntegerField(min_value=1_000, max_value=10_000_000, initial=150_000)
    max_seconds = forms.IntegerField(
        min_value=10, max_value=86_400, initial=600, help_text="Wall clock of one attempt."
    )

    class Meta:
        model = AgentVersion
        fields: ClassVar = [
            *["agent", "instructions", "model_profile"],
            *["max_turns", "max_tool_calls", "max_tokens", "max_usd", "max_seconds"],
        ]
        widgets: ClassVar = {
            "instructions": forms.Textarea(attrs={"rows": 28, "class": "cs-mono"}),
        }

    def clean_agent(self) -> Agent:
        """Keep to one draft at a time."""
        agent: Agent = self.cleaned_data["agent"]
        found = draft_of(agent)
        if found is not None and found.pk != self.instance.pk:
            raise ValidationError(f"{agent} already has a draft, v{found.number}. Edit that one.")
        return agent


@admin.register(AgentVersion)
class AgentVersionAdmin(AuditedAdmin):
    """A draft is edited and published; a published version is only shown and copied."""

    form = VersionForm
    list_display = ["__str__", "agent", "state", "model_profile", "max_turns", "published_at"]
    list_select_related = ["agent", "model_profile"]
    list_filter = [("published_at", admin.EmptyFieldListFilter), "agent", "model_profile"]
    search_fields = ["agent__slug", "instructions"]
    readonly_fields = ["state", "changes", "published_at", "published_by"]
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentVersion]:
        """Load what every page names."""
        return super().get_queryset(request).select_related("agent", "model_profile")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show a draft against what is in force."""
        limits = ["max_turns", "max_tool_calls", "max_tokens", "max_usd", "max_seconds"]
        state = ["state", "published_at", "published_by"] if obj and obj.published_at else ["state"]
        return [
            (None, {"fields": ["agent", *(state if obj else [])]}),
            ("Instructions", {"fields": ["instructions"]}),
            ("Model and limits", {"fields": ["model_profile", *limits]}),
            *([("What is different", {"fields": ["changes"]})] if obj else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A draft does not change hands."""
        return [*self.readonly_fields, "agent"] if obj else list(self.readonly_fields)

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer what can be chosen, without side doors into other forms."""
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return fill_choices(field, field.queryset)

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """An existing draft keeps its agent."""
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None and hasattr(form, "clean_agent"):
            form.clean_agent = None
        return form

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for published versions; the database refuses it too."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or obj.published_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let only drafts be thrown away."""
        return obj is not None and obj.published_at is None and self.has_change_permission(request)

    def save_model(self, request: Any, obj: AgentVersion, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Number a new draft."""
        if not change:
            Agent.objects.select_for_update().get(pk=obj.agent_id)
            obj.number = next_number(obj.agent)
        super().save_model(request, obj, form, change)

    def response_add(self, request: Any, obj: Any, post_url_continue: Any = None) -> Any:
        """Publish when asked to, after the draft was saved."""
        return self._published(request, obj) or super().response_add(request, obj)

    def response_change(self, request: Any, obj: Any) -> Any:
        """Publish when asked to, after the draft was saved."""
        return self._published(request, obj) or super().response_change(request, obj)

    def _published(self, request: Any, version: AgentVersion) -> HttpResponse | None:
        if "_publish" not in request.POST:
            return None
        publish(version, by=request.user, address=request.META.get("REMOTE_ADDR"))
        text = f"{version} is published. New tasks get it; tasks under way keep their version."
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(_page(version))

    def get_urls(self) -> list[Any]:
        """Add the one act that is no form."""
        view = self.admin_site.admin_view(self.new_draft)
        return [
            path("<uuid:pk>/draft/", view, name="agents_agentversion_draft"),
            *super().get_urls(),
        ]

    def new_draft(self, request: Any, pk: Any) -> HttpResponse:
        """Copy a version into a new draft and open it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_add_permission(request):
            raise PermissionDenied
        version = get_object_or_404(AgentVersion.objects.select_related("agent"), pk=pk)
        try:
            draft = draft_from(version, by=request.user, address=request.META.get("REMOTE_ADDR"))
        except TransitionRefused as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return HttpResponseRedirect(_page(draft_of(version.agent) or version))
        text = f"{draft} is a copy of v{version.number}. It changes nothing until it is published."
        self.message_user(request, text)
        return HttpResponseRedirect(_page(draft))

    @admin.display(description="state")
    def state(self, version: AgentVersion) -> SafeString:
        """Draft or published."""
        return badge("Published", "ok") if version.published_at else badge("Draft", "warn")

    @admin.display(description="against the version before")
    def changes(self, version: AgentVersion) -> SafeString | str:
        """What it says otherwise than the published version before it."""
        published = version.agent.versions.filter(published_at__isnull=False)
        before = published.filter(number__lt=version.number).select_related("model_profile").first()
        if before is None:
            return "It is the first."
        return (
            verbatim(differences(before, version)) if differences(before, version) else "Nothing."
        )


def _page(version: AgentVersion) -> str:
    return reverse("admin:agents_agentversion_change", args=[version.pk])


class ModelProfileForm(ModelForm):
    """A model choice; fallbacks one per line."""

    base_url = forms.URLField(
        required=False,
        assume_scheme="https",
        help_text="An OpenAI-compatible server. Empty: the provider's own.",
    )

    fallbacks = LinesField(
        longest=200, required=False, help_text="Tried in order. One provider:name per line."
    )


@admin.register(ModelProfile)
class ModelProfileAdmin(AuditedAdmin):
    """Named model choices. Keys come from the environment and are never rows."""

    form = ModelProfileForm
    list_display = ["slug", "model", "base_url", "max_output_tokens", "timeout_seconds"]
    search_fields = ["slug", "model"]
    fieldsets = [
        (None, {"fields": ["slug", "model", "fallbacks", "base_url"]}),
        ("Limits", {"fields": ["max_output_tokens", "temperature", "timeout_seconds"]}),
        ("Price", {"fields": ["usd_per_million_input", "usd_per_million_output"]}),
    ]
