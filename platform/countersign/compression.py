"""Sends pages, styles and scripts compressed; answers of the API are small and stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.middleware.gzip import GZipMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

_KINDS = ("text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml")


class CompressPages(GZipMiddleware):
    """Compresses what a browser shows; Django pads it, so that its length tells no secret."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Compress by the kind of content."""
        if not response.get("Content-Type", "").startswith(_KINDS):
            return response
        return super().process_response(request, response)
