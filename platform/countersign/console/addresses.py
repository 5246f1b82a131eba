"""Where to go next, and what to say of where a request came from."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

if TYPE_CHECKING:
    from django.http import HttpRequest


def inside(request: HttpRequest, address: str | None) -> str:
    """Return the address if it stays on this site, else the home page.

    A bare word is no address: a redirect would take it for the name of a page.
    """
    if (
        address
        and url_has_allowed_host_and_scheme(
            address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )
        and urlsplit(address).path.startswith("/")
    ):
        return address
    return reverse("console:home")


def back_of(request: HttpRequest) -> str:
    """Return where a form or page leads back to: the inbox with the tab, view and page it was on, if it
    says so."""
    named = request.POST.get("next") or request.GET.get("next")
    return inside(request, named or reverse("console:inbox"))


@lru_cache(maxsize=8_192)
def of_review(number: int, round_number: int) -> str:
    """Return the address of a review page; a list names thirty, most of them again and again."""
    return reverse("console:review", args=[number, round_number])


def address_of(request: HttpRequest) -> str | None:
    """Return the network address the request came from, for the audit log."""
    return request.META.get("REMOTE_ADDR") or None
