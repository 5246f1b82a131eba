"""Views that take forms alone, and the page an address of one leads to."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.http import HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import Resolver404, ResolverMatch, resolve, reverse

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    View = Callable[..., HttpResponseBase]

_EMPTY_ALONE = "console:selected"  # nothing is there without what was picked


def takes_forms(view: View) -> View:
    """Let a view be posted to alone; who opens its address is told so, and led to its page."""

    @wraps(view)
    def posted(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return view(request, *args, **kwargs) if request.method == "POST" else _refused(request)

    posted.takes_forms = True  # type: ignore[attr-defined]  # read by `_takes_forms`
    return posted


def page_of(address: str) -> str:
    """Return the address; where it takes forms alone, that of the nearest page above it."""
    path = urlsplit(address).path
    if not _takes_forms(_at(path)):
        return address
    while path and not _is_page(_at(path)):
        path = path.rpartition("/")[0]
    return path or reverse("console:home")


def _at(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None


def _takes_forms(found: ResolverMatch | None) -> bool:
    return found is not None and hasattr(found.func, "takes_forms")


def _is_page(found: ResolverMatch | None) -> bool:
    return found is not None and not _takes_forms(found) and found.view_name != _EMPTY_ALONE


def _refused(request: HttpRequest) -> HttpResponseBase:
    refused = HttpResponseNotAllowed(["POST"])
    if request.method == "GET":
        refused.content = render(request, "405.html", {"address": page_of(request.path)}).content
    return refused
