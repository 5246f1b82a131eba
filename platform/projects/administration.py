"""What every page of the admin shares: an audit entry per change, pages that only show, fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models, transaction
from django.forms.utils import pretty_name
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst

from projects import audit
from projects.exceptions import CountersignError
from projects.models import Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    AnyPaginator = Paginator[Any]
    BaseInlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
    BaseModelFormSet = forms.BaseModelFormSet[Any, Any]
else:  # generic in the stubs only
    ModelAdmin, TabularInline, ModelForm = admin.ModelAdmin, admin.TabularInline, forms.ModelForm
    AnyPaginator = Paginator
    BaseInlineFormSet, BaseModelFormSet = forms.BaseInlineFormSet, forms.BaseModelFormSet


class RowsFormSet(BaseInlineFormSet):
    """Rows of a form; in a table a field has no label, so it says its column and row itself."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """Name the fields of one row."""
        super().add_fields(form, index)
        _name_fields(form, index)


class ListFormSet(BaseModelFormSet):
    """Rows of a list, whose fields are named alike."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """Name the fields of one row."""
        super().add_fields(form, index)
        _name_fields(form, index)


def _name_fields(form: Any, index: int | None) -> None:
    row = "new row" if index is None else f"row {index + 1}"
    for name, field in form.fields.items():
        if not field.widget.is_hidden:
            label = field.label or pretty_name(name)
            field.widget.attrs.setdefault("aria-label", f"{capfirst(label)}, {row}")


class AuditedAdmin(ModelAdmin):
    """Writes an audit entry, in the transaction of the change, for all a person changes here."""

    list_per_page = 50
    show_full_result_count = False
    save_on_top = False

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Leave out the buttons that open other forms in windows."""
        return plain_choice(super().formfield_for_dbfield(db_field, request, **kwargs))

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Name the fields of a list that can be changed."""
        return super().get_changelist_formset(request, **{"formset": ListFormSet, **kwargs})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Say above the form why the domain refused; nothing is changed, and what was typed stays."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except CountersignError as error:
            request.refusal = str(error)  # type: ignore[attr-defined]
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except PermissionDenied:  # it cannot be changed any more, as by who published it meanwhile
            self.message_user(request, request.refusal, messages.ERROR)  # type: ignore[attr-defined]
            return HttpResponseRedirect(request.path)

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Return the form, one that is never valid after a refusal."""
        form = super().get_form(request, obj, change=change, **kwargs)
        refusal = getattr(request, "refusal", "")
        return _refusing(form, refusal) if refusal else form

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Save what belongs to the row, then write the one audit entry of this change."""
        super().save_related(request, form, formsets, change)
        detail = changes_in(form, formsets)
        if detail or not change:
            self.record(request, form.instance, "changed" if change else "added", **detail)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete the row and write the audit entry with it."""
        with transaction.atomic():
            self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """Delete the chosen rows one by one, each with its audit entry."""
        with transaction.atomic():
            self._delete(request, list(queryset))

    def _delete(self, request: HttpRequest, rows: Sequence[models.Model]) -> None:
        _lock(rows)
        labels = [str(row)[:200] for row in rows]
        for row in rows:
            key = row.pk
            super().delete_model(request, row)
            row.pk = key  # Django forgets it; the entry names it
        # What goes with them is locked by then: nobody waits for it who holds the audit chain.
        for row, label in zip(rows, labels, strict=True):
            self.record(request, row, "deleted", label=label)

    def record(self, request: HttpRequest, row: models.Model, act: str, **detail: Any) -> None:
        """Write one audit entry about `row` in the caller's transaction."""
        audit.record(
            f"{row._meta.model_name}.{act}",
            subject=row,
            actor=request.user,  # type: ignore[arg-type]  # the admin lets no stranger in
            project=row if isinstance(row, Project) else getattr(row, "project", None),
            address=request.META.get("REMOTE_ADDR") or None,
            **detail,
        )


def _refusing(form: Any, refusal: str) -> Any:
    """Return the form as one that is refused with this sentence."""

    class Refused(form):  # type: ignore[misc]  # the class of a model's own form
        def _post_clean(self) -> None:
            super()._post_clean()
            self.add_error(None, refusal)

    return Refused


def _lock(rows: Sequence[models.Model]) -> None:
    """Lock rows before the audit chain, as everybody does who changes one."""
    if rows:  # of one model: those an admin page deletes together
        found = type(rows[0])._base_manager.filter(pk__in=[row.pk for row in rows])
        list(found.order_by("pk").select_for_update().values_list("pk"))


class CappedPaginator(AnyPaginator):
    """Counts no further than what pages lead to: an exact count of a large table is a walk."""

    most = 1_001

    @cached_property
    def count(self) -> int:
        """Return how many rows pages lead to."""
        rows: Any = self.object_list
        return int(rows[: self.most].count())


class WindowedList(ChangeList):
    """A list that leaves `before` to its admin."""

    def get_filters_params(self, params: Any = None) -> Any:
        """Take it for no field's filter."""
        found = super().get_filters_params(params)
        found.pop(BEFORE, None)
        return found


BEFORE = "before"  # the key a window of a list begins behind


class ReadOnlyAdmin(ModelAdmin):
    """Shows rows; nobody adds, changes or deletes them here, superusers included.

    A list looks at a window of the newest rows; filters, search and pages are of that window, and a
    link leads to the next. What names a task or its like has an index and is not cut.
    """

    actions: Any = None
    list_per_page = 50
    show_full_result_count = False
    paginator = CappedPaginator
    window = 1_000
    narrow = frozenset(
        f"{name}__id__exact" for name in ("task", "step", "attempt", "approval", "proposal")
    )

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Offer no filters beside a key: to read their choices would be to walk the table."""
        return () if self.narrow & set(request.GET) else super().get_list_filter(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that knows of windows."""
        return WindowedList

    def changelist_view(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        """Show a window of the newest rows, with the way to the next."""
        window = None if self.narrow & set(request.GET) else self._window(request)
        request.window = window
        query = request.GET.copy()
        query.pop("p", None)
        older = window[0] if window else None
        if older is not None:
            query[BEFORE] = str(older)
        more = {"older": query.urlencode() if older is not None else "", "window": self.window}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Keep to the window when a list is shown."""
        rows = super().get_queryset(request)
        if window := getattr(request, "window", None):
            first, last = window
            rows = rows.filter(pk__gte=first) if first is not None else rows
            rows = rows.filter(pk__lt=last) if last is not None else rows
        return rows

    def _window(self, request: HttpRequest) -> tuple[Any, Any]:
        """Return the first and, behind which it begins, the last key of the window; None is no end."""
        keys = self.model._default_manager.order_by("-pk").values_list("pk", flat=True)
        last = None
        if given := request.GET.get(BEFORE):
            try:
                last = self.model._meta.pk.to_python(given)
                keys = keys.filter(pk__lt=last)
            except ValidationError:
                last = None
        return next(iter(keys[self.window - 1 : self.window]), None), last

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Every field there is."""
        shown: Any = self.fields or flatten_fieldsets(self.fieldsets or [])
        return list(shown)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class RowsInline(TabularInline):
    """Rows that belong to the one being changed."""

    extra = 0
    formset: Any = RowsFormSet

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Leave out the buttons that open other forms in windows."""
        return plain_choice(super().formfield_for_dbfield(db_field, request, **kwargs))


class ReadOnlyInline(TabularInline):
    """Rows that belong to the one shown, for looking only."""

    extra = 0
    can_delete = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Every field there is."""
        shown: Any = self.fields or []
        return list(shown)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class LinesField(SimpleArrayField):
    """A list with one item per line."""

    def __init__(self, *, longest: int = 300, rows: int = 3, **options: Any) -> None:
        super().__init__(
            forms.CharField(max_length=longest),
            delimiter="\n",
            widget=forms.Textarea(attrs={"rows": rows, "cols": 40, "spellcheck": "false"}),
            **options,
        )

    def to_python(self, value: Any) -> Any:
        """Drop blank lines and the carriage returns browsers send."""
        if isinstance(value, str):
            value = "\n".join(line.strip() for line in value.splitlines() if line.strip())
        return list(super().to_python(value))


def changes_in(form: Any, formsets: Iterable[Any]) -> dict[str, Any]:
    """Return the names of the changed fields and the rows added, changed and removed with them."""
    detail: dict[str, Any] = {}
    if form.changed_data:
        detail["fields"] = list(form.changed_data)
        # Switches and numbers with their new value; texts may hold a password.
        now = {name: form.cleaned_data.get(name) for name in form.changed_data}
        if plain := {name: value for name, value in now.items() if isinstance(value, int)}:
            detail["now"] = plain
    for formset in formsets:
        changed = {
            "added": [str(row) for row in formset.new_objects],
            "changed": [f"{row}: {', '.join(names)}" for row, names in formset.changed_objects],
            "removed": [str(row) for row in formset.deleted_objects],
        }
        if any(changed.values()):
            detail[str(formset.model._meta.verbose_name_plural)] = changed
    return detail


def plain_choice(field: Any) -> Any:
    """Return the field with the bare select of a foreign key."""
    if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
        field.widget = field.widget.widget
    return field


def fill_choices(field: Any, rows: Iterable[models.Model]) -> Any:
    """Give a foreign-key field its choices once, instead of one query per form of a formset."""
    field.choices = [("", "---------"), *((str(row.pk), str(row)) for row in rows)]
    return field


def badge(text: str, tone: str = "muted") -> SafeString:
    """Return a small label; tones are those of the console: ok, warn, bad, run, ink, muted."""
    return format_html('<span class="cs-badge cs-{}">{}</span>', tone, text)


def pretty(value: Any) -> SafeString:
    """Return JSON for reading."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<pre class="cs-text" tabindex="0">{}</pre>', text)


def verbatim(text: str) -> SafeString | str:
    """Return untrusted text as it is, line breaks kept."""
    return format_html('<pre class="cs-text" tabindex="0">{}</pre>', text) if text else "-"


def link_to(row: models.Model | None, text: str = "") -> SafeString | str:
    """Return a link to the admin's page of a row."""
    if row is None:
        return "-"
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[row.pk]), text or str(row))


def list_link(model: type[models.Model], text: str, **filters: Any) -> SafeString:
    """Return a link to the admin's list of a model, filtered."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return format_html('<a href="{}?{}">{}</a>', url, query, text)


def joined(links: Iterable[SafeString]) -> SafeString:
    """Return links side by side."""
    return format_html_join(" ", "{}", ((link,) for link in links))
