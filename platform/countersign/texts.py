"""Refuses requests whose text cannot be read as it was meant, before anything reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

_API = "/api/"  # has its own, stricter reading, and answers with problem documents
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def readable_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Take forms as UTF-8 only, and no NUL in an address: PostgreSQL stores neither a NUL nor half a
    character, which some encodings can spell."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(_API):
            charset = (request.content_params or {}).get("charset", "utf-8")
            if charset.strip("\"' ").lower() not in _UTF8:
                raise BadRequest("A form is sent as UTF-8.")
            if "%00" in request.META.get("QUERY_STRING", ""):
                raise BadRequest("An address holds no NUL.")
        return get_response(request)

    return answer
