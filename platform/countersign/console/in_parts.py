"""Sends a long page in parts: what comes first at once, then piece by piece, then the end.

Whoever reads begins at the top while the rest is drawn. What they decide with stands at the end: nobody
signs a page that did not arrive whole.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.middleware.csrf import get_token
from django.template.loader import get_template
from django.utils.safestring import mark_safe

from countersign.console.rendering import page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from django.http import HttpRequest

# Bytes of a part: each is a way to the loop and back, and a frame of the browser.
_LEAST = 64 * 1024


def page_in_parts(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    part: str,
    pieces: Iterable[dict[str, Any]],
    status: int = 200,
) -> StreamingHttpResponse:
    """Render a page around its `gap`, and send the part of each piece where that stands.

    The page itself is rendered before anything is sent, so what fails there is answered as ever. The
    parts ask the database for nothing: all they show has been read.
    """
    gap = mark_safe(f"<!-- {secrets.token_hex(16)} -->")  # noqa: S308  no text of anybody holds it
    whole = page(request, template, {**context, "gap": gap}, status=status)
    before, _, after = whole.content.partition(gap.encode())
    shown, drawn = {**context, "csrf_token": get_token(request)}, get_template(part)

    def parts() -> Iterator[bytes]:
        yield before
        yield from _filled(drawn.render({**shown, **piece}).encode() for piece in pieces)
        yield after

    # A server that waits for an answer as a whole, as that of tests does, takes an iterator as it is.
    sent = _beside(parts()) if hasattr(request, "scope") else parts()
    return StreamingHttpResponse(sent, status=status, content_type=whole["Content-Type"])


def _filled(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the first piece at once, the rest by parts that are worth their way."""
    part, least = b"", 0
    for piece in pieces:
        part += piece
        if len(part) >= least:
            yield part
            part, least = b"", _LEAST
    if part:
        yield part


async def _beside(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Draw each part in the request's own thread: the loop serves everybody else meanwhile."""
    draw = sync_to_async(lambda: next(parts, None))
    while (part := await draw()) is not None:
        yield part
