"""The admin of people, their tokens, and the audit log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone

from projects import auditing
from projects.administration import (
    AuditedAdmin,
    ModelForm,
    ReadOnlyAdmin,
    RowsInline,
    badge,
    fill_choices,
    link_to,
    pretty,
)
from projects.models import ApiToken, AuditEntry, Membership, Project, Quota, User
from projects.tokens import SCOPES, issue

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    UserAdmin = auth_admin.UserAdmin[User]
else:  # generic in the stubs only
    UserAdmin = auth_admin.UserAdmin

_KEY = re.compile(r"[0-9a-f-]{1,36}")
_LABEL = re.compile(r"T-[0-9]{1,18}")

admin.site.site_header = "Countersign"
admin.site.site_title = "Countersign admin"
admin.site.index_title = "Admin"
admin.site.empty_value_display = "-"
admin.site.unregister(Group)  # rights come from membership and one admin flag


class MembershipInline(RowsInline):
    """Who is a member of what; one query for all choices."""

    model = Membership
    fields = ["user", "project", "role"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Load both ends at once."""
        return super().get_queryset(request).select_related("user", "project")

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Read people and projects once per page."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        rows = User.objects.order_by("username") if db_field.name == "user" else None
        return fill_choices(field, Project.objects.all() if rows is None else rows)


class QuotaInline(RowsInline):
    """How much work may be handed over in an hour; none: as much as there is."""

    model = Quota
    fields = ["hourly"]
    max_num = 1
    verbose_name_plural = "Quota"


@admin.register(User)
class PersonAdmin(AuditedAdmin, UserAdmin):
    """People. They are switched off, never deleted: what they signed stays signed."""

    list_display = ["username", "display_name", "email", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser", "memberships__project"]
    search_fields = ["username", "first_name", "last_name", "email"]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = ()
    inlines = [MembershipInline, QuotaInline]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_superuser")}),
        ("Console", {"fields": ("theme", "single_keys")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "password1", "password2")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
    )

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Offer memberships and a quota once the person exists."""
        return list(self.inlines) if obj else []

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Name the admin flag by what it allows."""
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "is_superuser":
            field.label = "Admin"
            field.help_text = "May change agents, tools, projects, members and policies here."
        return field

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Refuse to let admins shut themselves out."""
        form = super().get_form(request, obj, change=change, **kwargs)
        return _not_oneself(form) if obj is not None and obj.pk == request.user.pk else form

    def save_model(self, request: Any, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Admins are those whom the admin lets in: one flag, not two."""
        obj.is_staff = obj.is_superuser
        super().save_model(request, obj, form, change)

    def user_change_password(self, request: Any, id: Any, form_url: str = "") -> Any:  # noqa: A002 - Django's signature
        """Change the password and write the audit entry with it."""
        with transaction.atomic():
            before = User.objects.filter(pk=id).values_list("password", flat=True).first()
            response = super().user_change_password(request, id, form_url)
            person = User.objects.filter(pk=id).first()
            if person is not None and person.password != before:
                self.record(request, person, "password_changed")
        return response

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


def _not_oneself(form: Any) -> Any:
    class OwnForm(form):  # type: ignore[misc]  # built by Django
        def clean(self) -> dict[str, Any]:
            cleaned: dict[str, Any] = super().clean()
            for name in ("is_active", "is_superuser"):
                if cleaned.get(name) is False:
                    self.add_error(name, "You cannot take this from yourself; ask another admin.")
            return cleaned

    return OwnForm


class TokenForm(ModelForm):
    """What a new token may do and for how long."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        initial=list(SCOPES),
        widget=forms.CheckboxSelectMultiple,
        help_text="A token never decides an approval, whatever its scopes.",
    )
    days = forms.IntegerField(min_value=1, max_value=366, initial=90, help_text="Then it expires.")

    class Meta:
        model = ApiToken
        fields: ClassVar = ["user", "project", "name", "scopes"]

    def clean(self) -> dict[str, Any]:
        """Refuse a token for a project its owner is not a member of."""
        cleaned = super().clean() or {}
        person, project = cleaned.get("user"), cleaned.get("project")
        member = Membership.objects.filter(user=person, project=project)
        if person and project and not member.exists():
            raise ValidationError({"project": f"{person} is not a member of {project}."})
        return cleaned


@admin.register(ApiToken)
class TokenAdmin(AuditedAdmin):
    """Tokens are issued (their text is shown once) and revoked; nothing else about them changes."""

    list_display = ["name", "user", "project", "shown_key", "state", "expires_at", "last_used_at"]
    list_select_related = ["user", "project"]
    list_filter = ["project"]
    search_fields = ["name", "user__username", "key"]
    actions = ["revoke"]
    readonly_fields = ["shown_key", "state", "created_at", "expires_at", "last_used_at"]

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Ask what a new token may do; an issued one is only shown."""
        if obj is None:
            kwargs["form"] = TokenForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Never show the digest."""
        asked = ["user", "project", "name", "scopes"]
        return [*asked, *self.readonly_fields] if obj else [*asked, "days"]

    def save_model(self, request: Any, obj: ApiToken, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Issue the token and show its text this once."""
        asked = form.cleaned_data
        token, text = issue(
            asked["user"],
            name=asked["name"],
            scopes=tuple(asked["scopes"]),
            days=asked["days"],
            project=asked["project"],
        )
        obj.pk = token.pk
        obj.refresh_from_db()
        self.message_user(
            request,
            f"Copy the token now, it is not shown again: {text}",
            messages.WARNING,
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a revoked token stays on record."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Let admins revoke."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Switch tokens off for good, at once."""
        with transaction.atomic():
            live = list(queryset.filter(revoked_at=None).select_for_update(of=("self",)))
            for token in live:
                token.revoked_at = timezone.now()
                token.save(update_fields=["revoked_at"])
                self.record(request, token, "revoked", name=token.name)
        self.message_user(request, f"Revoked {len(live)} of {queryset.count()} tokens.")

    @admin.display(description="key")
    def shown_key(self, token: ApiToken) -> str:
        """The part that may be shown."""
        return f"cs_{token.key}_…"

    @admin.display(description="state")
    def state(self, token: ApiToken) -> SafeString:
        """Whether it still opens anything."""
        if token.revoked_at:
            return badge("Revoked", "bad")
        expired = token.expires_at <= timezone.now()
        return badge("Expired", "muted") if expired else badge("Valid", "ok")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log, for looking."""

    list_display = ["at", "actor_label", "action", "task", "about", "object_id", "project"]
    list_select_related = ["project"]
    list_filter = ["object_type", "project"]
    search_fields = ["action", "actor_label", "object_id"]
    search_help_text = "Words of the act or who did it, the key of what it was about, or T-12."
    fields = [
        *["at", "actor_label", "actor", "address", "project", "action", "object_type"],
        *["object_id", "facts", "previous_digest", "digest"],
    ]
    readonly_fields = ["facts"]
    actions: Any = ("as_json_lines", "as_csv")

    @admin.action(description="Save as JSON lines")
    def as_json_lines(self, _: HttpRequest, entries: QuerySet[AuditEntry]) -> HttpResponse:
        """Send the chosen entries, with all their digests are made of."""
        return _saved(entries, "jsonl", "application/jsonl")

    @admin.action(description="Save as CSV")
    def as_csv(self, _: HttpRequest, entries: QuerySet[AuditEntry]) -> HttpResponse:
        """Send the chosen entries for a spreadsheet."""
        return _saved(entries, "csv", "text/csv; charset=utf-8")

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> Any:
        """Find a task also by its number, and by an entry that names it beside others: those that
        came in a crowd."""
        found, repeats = super().get_search_results(request, queryset, search_term)
        if _LABEL.fullmatch(term := search_term.strip().upper()):
            return found | queryset.filter(detail__task=term), repeats
        try:
            named = {"and": [str(UUID(search_term.strip()))]}
        except ValueError:
            return found, repeats
        return found | queryset.filter(detail__contains=named), repeats

    @admin.display(description="task")
    def task(self, entry: AuditEntry) -> str:
        """T-12, where the entry says so."""
        said = str(entry.detail.get("task", "")) if isinstance(entry.detail, dict) else ""
        return said if _LABEL.fullmatch(said) else "-"

    @admin.display(description="about", ordering="object_type")
    def about(self, entry: AuditEntry) -> SafeString | str:
        """What it was, with a way there."""
        kinds = {model._meta.model_name: model for model in self.admin_site._registry}
        model = kinds.get(entry.object_type) if _KEY.fullmatch(entry.object_id) else None
        return link_to(model(pk=entry.object_id), entry.object_type) if model else entry.object_type

    @admin.display(description="detail")
    def facts(self, entry: AuditEntry) -> SafeString:
        """The detail for reading."""
        return pretty(entry.detail)


def _saved(entries: QuerySet[AuditEntry], kind: str, content_type: str) -> HttpResponse:
    named = {"Content-Disposition": f'attachment; filename="audit.{kind}"'}
    text = "".join(auditing.FORMATS[kind](entries))  # a window of the list at most
    return HttpResponse(text, content_type=content_type, headers=named)
