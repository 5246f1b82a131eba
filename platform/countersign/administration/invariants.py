"""The admin's page of the invariants: what must be true, and at the press of a button, whether it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.apps import apps
from django.contrib import admin
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from countersign import invariants

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from countersign.invariants import Result
    from projects.invariants import Offence


@dataclass(frozen=True, slots=True)
class Row:
    """One row that breaks an invariant, with the admin's page of it where there is one."""

    label: str
    said: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    """One invariant as the page shows it."""

    name: str
    sentence: str
    result: Result | None = None
    rows: tuple[Row, ...] = ()

    @property
    def milliseconds(self) -> int:
        """How long the check took."""
        return round(self.result.seconds * 1000) if self.result else 0

    @property
    def more(self) -> int:
        """How many rows break it that are not shown."""
        return self.result.found.count - len(self.rows) if self.result else 0


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
def page(request: HttpRequest) -> HttpResponse:
    """List the invariants; a POST checks them all and shows what was found. Changes nothing."""
    lines = [Line(check.name, check.sentence) for check in invariants.checks()]
    if request.method == "POST":
        lines = [_line(result) for result in invariants.verify()]
    context = {
        **admin.site.each_context(request),
        "title": "Invariants",
        "lines": lines,
        "checked_at": timezone.now() if request.method == "POST" else None,
        "broken": sum(not line.result.holds for line in lines if line.result),
    }
    return TemplateResponse(request, "admin/invariants.html", context)


def _line(result: Result) -> Line:
    rows = tuple(_row(offence) for offence in result.found.shown)
    return Line(result.check.name, result.check.sentence, result, rows)


def _row(offence: Offence) -> Row:
    if not offence.table:
        return Row(offence.pk, offence.said, "")
    label, _, name = offence.table.partition(".")
    kind = apps.get_model(label, name)._meta.verbose_name
    try:
        url = reverse(f"admin:{label}_{name}_change", args=[offence.pk])
    except NoReverseMatch:  # shown on the page of another row, or nowhere
        url = ""
    return Row(f"{kind} {offence.pk}", offence.said, url)
