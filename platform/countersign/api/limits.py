"""The size limit of request bodies, held before anything is parsed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from countersign.api.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]
    Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY = 64 * 1024  # bytes
# Above what Django reads of a form, so that a form that is too long is refused in its own words.
MAX_PAGE = 3 * 1024 * 1024
_API = "/api/"
# A whole file is sent there, of up to 200,000 bytes; JSON makes some of them six.
_LONGER = {"/edits": 1024 * 1024}


class ClientGone(Exception):
    """The client went away before its request was whole: nobody waits for an answer."""


def limit_of(path: str) -> int:
    """Return how many bytes a request to this path may have."""
    if not path.startswith((_API, "/static/")):
        return MAX_PAGE
    return next((most for end, most in _LONGER.items() if path.endswith(end)), MAX_BODY)


def too_large(path: str) -> Problem:
    """Return the answer to a body over the limit."""
    most = limit_of(path) // 1024
    return Problem(413, f"A request to this address may have {most} KiB. Nothing was read.")


def limit_body(application: Application) -> Application:
    """Wrap an ASGI application so that no body is longer than the limit of its address.

    Django would spool a chunked body to disk whatever its length before a view sees it.
    """

    async def limited(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive)
        except ClientGone:
            return
        if body is None:
            await refuse_body(scope, send)
        else:
            await hand_on(application, scope, body, receive, send)

    return limited


async def read_body(scope: Mapping[str, Any], receive: Receive) -> bytes | None:
    """Return the whole body, None for one that is too large: of that no more is read.

    Raises ClientGone: a form that was cut off may look like a whole one.
    """
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    most = limit_of(scope["path"])
    if declared.isdigit() and int(declared) > most:
        return None
    return await _read(receive, most)


async def hand_on(
    application: Application, scope: dict[str, Any], body: bytes, receive: Receive, send: Send
) -> None:
    """Let an application answer a request whose body was read already."""
    await application(_with_length(scope, len(body)), _replayed(body, receive), send)


def _with_length(scope: dict[str, Any], length: int) -> dict[str, Any]:
    """Say how long a chunked body was: without a length REST framework takes it for empty."""
    kept = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
    return {**scope, "headers": [*kept, (b"content-length", str(length).encode())]}


async def _read(receive: Receive, most: int) -> bytes | None:
    message = await _next(receive)
    body = message.get("body", b"")
    if not message.get("more_body", False):  # as nearly all do
        return body if len(body) <= most else None
    return await _read_on(bytearray(body), receive, most)


async def _read_on(body: bytearray, receive: Receive, most: int) -> bytes | None:
    """Return the body, None as soon as it is too long."""
    more = True
    while more:
        message = await _next(receive)
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            return None
    return bytes(body)


async def _next(receive: Receive) -> Mapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


def _replayed(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Mapping[str, Any]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def refuse_body(scope: Mapping[str, Any], send: Send) -> None:
    """Answer 413: a problem document under /api/, a sentence elsewhere."""
    problem, of_api = too_large(scope["path"]), scope["path"].startswith(_API)
    text = json.dumps(problem.document(scope["path"])) if of_api else problem.detail
    body, kind = text.encode(), MEDIA_TYPE if of_api else "text/plain; charset=utf-8"
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the rest of the body is not read
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
