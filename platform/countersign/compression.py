"""Sends pages, styles and scripts compressed; answers of the API are small and stay as they are."""

from __future__ import annotations

import secrets
from gzip import GzipFile
from typing import TYPE_CHECKING

from django.http import StreamingHttpResponse
from django.middleware.gzip import GZipMiddleware
from django.utils.text import StreamingBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

_KINDS = ("text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml")
_LEVEL = 6  # as Django's


class CompressPages(GZipMiddleware):
    """Compresses what a browser shows; Django pads it, so that its length tells no secret."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Compress by the kind of content, and what comes in parts as one file, part by part."""
        if not response.get("Content-Type", "").startswith(_KINDS):
            return response
        parts = _parts(response)
        answer: HttpResponseBase = super().process_response(request, response)
        # Django 5.2 makes a gzip file of each part, and browsers read the first of several.
        if parts is not None and answer.get("Content-Encoding") == "gzip":
            answer.streaming_content = self._in_one(parts)  # type: ignore[attr-defined]
        return answer

    async def _in_one(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        sent, padding = StreamingBuffer(), b"a" * secrets.randbelow(self.max_random_bytes)
        with GzipFile(padding, "wb", _LEVEL, sent, mtime=0) as packed:
            async for part in parts:
                packed.write(part)
                packed.flush()  # or a browser would wait with what it has
                yield sent.read()
        yield sent.read()


def _parts(response: HttpResponseBase) -> AsyncIterator[bytes] | None:
    if isinstance(response, StreamingHttpResponse) and response.is_async:
        return response.streaming_content  # type: ignore[return-value]
    return None
