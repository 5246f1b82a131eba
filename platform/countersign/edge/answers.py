"""How thin ASGI code answers: JSON, problem documents, and only under our own names."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from countersign.api.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from countersign.api.problems import Problem

    Send = Callable[[Mapping[str, Any]], Awaitable[None]]


_NO_SNIFF = (b"x-content-type-options", b"nosniff")


async def answer(
    send: Send,
    status: int,
    document: Mapping[str, Any],
    media_type: bytes,
    *headers: tuple[bytes, bytes],
) -> None:
    """Send one JSON document; the names of `headers` are in lower case."""
    body = msgspec.json.encode(document)
    length = b"content-length", b"%d" % len(body)
    pairs = [*headers, (b"content-type", media_type), length, _NO_SNIFF]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, problem: Problem, path: str) -> None:
    """Answer with a problem document."""
    headers = [
        (name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()
    ]
    await answer(send, problem.status, problem.document(path), MEDIA_TYPE.encode(), *headers)


@lru_cache(maxsize=256)
def is_ours(host: str) -> bool:
    """Tell whether Django would answer under this name, which it is not asked here."""
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
