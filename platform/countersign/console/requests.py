"""The request of a person who is signed in, as the console's views get it, and its texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from projects.models import User


class PersonRequest(HttpRequest):
    """A request behind login_required and the htmx middleware; only a type."""

    user: User
    htmx: HtmxDetails


def text_of(request: HttpRequest, field: str) -> str:
    """Return what was typed into a field, its lines as we keep them and without outer blanks."""
    return request.POST.get(field, "").replace("\r\n", "\n").strip()
