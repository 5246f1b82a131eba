"""Headers every answer of ours carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.cache import patch_cache_control

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

_UNUSED = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def private_answers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Keep answers out of every cache: after a sign-out, Back must not show a review again."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault("Permissions-Policy", _UNUSED)
        if "Cache-Control" not in response:
            patch_cache_control(response, private=True, no_store=True)
        return response

    return answer
