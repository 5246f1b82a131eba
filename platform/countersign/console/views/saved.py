"""Saved views of the inbox: save, rename and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse

from agents import storable
from approvals import saving
from countersign.console.addresses import address_of
from countersign.console.posted import takes_forms
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpResponse

    from approvals.models import SavedView
    from countersign.console.requests import PersonRequest

DELETED = "view_deleted"  # in the session, until the next page offers it back


@login_required
@takes_forms
def save(request: PersonRequest) -> HttpResponse:
    """Name the filter and the order that are shown."""
    name, query, sort = (request.POST.get(each, "") for each in ("name", "q", "sort"))
    try:
        view = saving.save(
            name=name, query=query, sort=sort, by=request.user, address=address_of(request)
        )
    except CountersignError as error:
        messages.error(request, str(error))
        given = urlencode({"q": storable.text(query), "sort": storable.text(sort)})
        return redirect(f"{reverse('console:inbox')}?{given}")
    messages.success(request, f"Saved as “{view.name}”. {view.position} opens it.")
    return _opened(view)


@login_required
@takes_forms
def rename(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Give a view another name."""
    view = _view(request, pk)
    name = request.POST.get("name", "")
    try:
        saving.change(view, by=request.user, address=address_of(request), name=name)
        messages.success(request, "Renamed.")
    except CountersignError as error:
        messages.error(request, str(error))
    return _opened(view)


@login_required
@takes_forms
def delete(request: PersonRequest, pk: UUID) -> HttpResponse:
    """Forget a view; the next page offers it back."""
    view = _view(request, pk)
    saving.delete(view, by=request.user, address=address_of(request))
    request.session[DELETED] = {"name": view.name, "q": view.query, "sort": view.sort}
    return redirect("console:inbox")


def _opened(view: SavedView) -> HttpResponse:
    return redirect(f"{reverse('console:inbox')}?view={view.pk}")


def _view(request: PersonRequest, pk: UUID) -> SavedView:
    view = saving.find(request.user, pk)
    if view is None:
        raise Http404
    return view
