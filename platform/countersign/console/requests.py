"""The request of a person who is signed in, as the console's views get it."""

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
