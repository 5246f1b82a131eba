"""The admin of projects: repository, checks, members."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Count
from django.utils import timezone

from agents.limits import Limits
from agents.models import Task
from agents.workspace.addresses import check_branch, folder_of, without_secrets
from agents.workspace.exceptions import GitFailed, NoSuchBranch, RepositoryUnreachable
from agents.workspace.git import Store
from approvals.models import Policy
from projects.admin import MembershipInline, QuotaInline
from projects.administration import AuditedAdmin, ModelForm, joined, list_link
from projects.exceptions import InvalidInput
from projects.models import Project

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


class ProjectForm(ModelForm):
    """A project; an address with a password is shown without it and kept with it."""

    repository = forms.CharField(
        max_length=500,
        help_text="A local bare or working repository (absolute path), or a remote URL.",
    )
    archived = forms.BooleanField(
        required=False, help_text="No new tasks; everything done stays readable."
    )

    class Meta:
        model = Project
        fields: ClassVar = [
            *["name", "slug", "repository", "main_branch", "checks_command", "limits"],
            *["allow_rlimits_only", "single_person", "memory_enabled"],
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address = self.instance.repository or ""
        self.initial["repository"] = without_secrets(self._address)
        self.initial["archived"] = self.instance.archived_at is not None

    def clean_repository(self) -> str:
        """Refuse what git must never see; an unchanged address keeps its password."""
        address: str = self.cleaned_data["repository"].strip()
        if self._address and address == without_secrets(self._address):
            return self._address
        try:
            folder_of(address)
        except RepositoryUnreachable as error:
            raise forms.ValidationError(str(error)) from error
        return address

    def clean_main_branch(self) -> str:
        """Refuse what is no branch name."""
        try:
            return check_branch(self.cleaned_data["main_branch"])
        except RepositoryUnreachable as error:
            raise forms.ValidationError(str(error)) from error

    def clean_limits(self) -> dict[str, Any]:
        """Take only limits that exist, above 0."""
        limits = self.cleaned_data["limits"] or {}
        if not isinstance(limits, dict):
            raise forms.ValidationError(f"Give an object, e.g. {json.dumps({'rounds': 3})}.")
        try:
            Limits.of(limits)
        except InvalidInput as error:
            raise forms.ValidationError(str(error)) from error
        return limits

    def save(self, commit: bool = True) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Set or clear the date of archiving."""
        archived = self.cleaned_data.get("archived", False)
        if archived != (self.instance.archived_at is not None):
            self.instance.archived_at = timezone.now() if archived else None
        return super().save(commit)


@admin.register(Project)
class ProjectAdmin(AuditedAdmin):
    """Projects are archived, not deleted: tasks and the audit log name them."""

    form = ProjectForm
    list_display = ["name", "slug", "address", "main_branch", "members", "archived_at"]
    list_filter = [("archived_at", admin.EmptyFieldListFilter), "single_person"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline, QuotaInline]
    readonly_fields = ["of_it"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Count the members in the same query."""
        projects: QuerySet[Project] = super().get_queryset(request)
        return projects.annotate(people=Count("memberships"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Name, repository, rules."""
        rules = ["single_person", "allow_rlimits_only", "memory_enabled", "limits"]
        identity = ["name", "slug", *(["of_it"] if obj else [])]
        return [
            (None, {"fields": identity}),
            ("Repository", {"fields": ["repository", "main_branch", "checks_command"]}),
            ("Rules", {"fields": [*rules, *(["archived"] if obj else [])]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """The slug is in the API, so it stays."""
        return [*self.readonly_fields, "slug"] if obj else list(self.readonly_fields)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Save, then say whether the repository answers: a warning, because it may be down today."""
        super().save_related(request, form, formsets, change)
        if not change or {"repository", "main_branch"} & set(form.changed_data):
            self._try(request, form.instance)

    def _try(self, request: HttpRequest, project: Project) -> None:
        try:
            head = Store.of(project).main_now()
        except (RepositoryUnreachable, NoSuchBranch, GitFailed) as error:
            text = f"Saved, but tasks cannot begin yet: {without_secrets(str(error))}"
            self.message_user(request, text, messages.WARNING)
        else:
            text = f"The repository answers: {project.main_branch} is at {head[:10]}."
            self.message_user(request, text, messages.SUCCESS)

    @admin.display(description="repository")
    def address(self, project: Project) -> str:
        """The address without user names and passwords."""
        return without_secrets(project.repository)

    @admin.display(description="members", ordering="people")
    def members(self, project: Any) -> int:
        """How many."""
        return int(project.people)

    @admin.display(description="of this project")
    def of_it(self, project: Project) -> SafeString:
        """Links to the lists that hang on it."""
        lists = ((Policy, "Policies"), (Task, "Tasks"))
        links = [list_link(model, text, project__id__exact=project.pk) for model, text in lists]
        return joined(links)
