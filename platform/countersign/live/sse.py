"""Server-sent events as thin ASGI code: one task's events, resumed by Last-Event-ID."""

from __future__ import annotations

import asyncio
import re
import uuid
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from django.db import Error as DatabaseError

from countersign.api.problems import Problem, database_away, not_found, sign_in
from countersign.edge.answers import is_ours, refuse
from countersign.live.cursors import InvalidCursor, cursor_of
from countersign.live.frames import Sent, Signal
from countersign.live.identity import headers_of, shown_by
from countersign.live.opening import NotSignedIn, open_feed, viewer_of
from countersign.live.replaying import NotWatchable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from countersign.live.feeds import TaskFeed

    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]

PATH = re.compile(r"/api/v1/tasks/(?P<task_id>[^/]+)/stream\Z")
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx would hold frames back
    (b"x-content-type-options", b"nosniff"),
]


async def stream(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer one stream request until the task is over or the client leaves."""
    try:
        feed = await _open(scope)
    except Problem as problem:
        await refuse(send, problem, scope["path"])
        return
    except DatabaseError:
        await refuse(send, database_away(), scope["path"])
        return
    if feed is None:
        # The one answer after which a browser's EventSource does not come again.
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    leaving = asyncio.create_task(_left(receive, feed))
    try:
        await _send_all(feed, send)
    finally:
        leaving.cancel()
        feed.close()


async def _open(scope: dict[str, Any]) -> TaskFeed | None:
    """Return the feed, None when a returning client has everything; raises Problem."""
    if scope["method"] != "GET":
        raise Problem(405, "A stream is read with GET.", headers={"Allow": "GET"})
    headers = headers_of(scope)
    if not is_ours(headers.get(b"host", b"").decode("latin-1")):
        raise Problem(400, "This server does not answer under that host name.")
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    try:
        feed = await _feed(scope["path"], query, headers)
    except NotSignedIn as error:
        raise sign_in() from error
    except NotWatchable as error:
        raise not_found("task") from error
    if b"last-event-id" in headers and feed.finished:
        feed.close()
        return None
    return feed


async def _feed(
    path: str, query: Mapping[str, list[str]], headers: Mapping[bytes, bytes]
) -> TaskFeed:
    shown, match = shown_by(headers), PATH.match(path)
    try:
        task_id = uuid.UUID(match["task_id"] if match else "")
    except ValueError as error:
        await viewer_of(shown)
        raise NotWatchable from error
    ticket = query.get("ticket", [""])[-1]
    return await open_feed(task_id, after=_cursor(query, headers), shown=shown, ticket=ticket)


def _cursor(query: Mapping[str, list[str]], headers: Mapping[bytes, bytes]) -> int:
    """Return where to go on: a reconnecting client's header is newer than the page's URL."""
    header = headers.get(b"last-event-id")
    name = "Last-Event-ID" if header is not None else "after"
    text = header.decode("latin-1") if header is not None else query.get("after", ["0"])[-1]
    try:
        return cursor_of(text)
    except InvalidCursor as error:
        raise Problem(400, "The cursor is not valid.", errors={name: [str(error)]}) from error


async def _send_all(feed: TaskFeed, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await _send(send, "retry: 2000\n\n")
    with suppress(DatabaseError):  # the client comes again by its cursor
        async with aclosing(feed.batches()) as batches:
            async for batch in batches:
                # One write for all of a replay: a storm of them is mostly system calls.
                await _send(send, "".join(map(_event, batch)))
                del batch
    await send({"type": "http.response.body", "body": b""})


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _event(item: Sent | Signal) -> str:
    """Return the item as the wire wants it.

    Frames carry no event name: the kind is in the JSON, and a browser's onmessage sees them all.
    """
    match item:
        case Sent(body=body, seq=None):
            return f"data: {body}\n\n"
        case Sent(body=body, seq=seq):
            return f"id: {seq}\ndata: {body}\n\n"
        case Signal.END:
            return 'event: end\ndata: {"kind": "end"}\n\n: the task is over\n\n'
        case Signal.FORBIDDEN:
            return ": you may not watch this any more\n\n"
    return ": ping\n\n"


async def _left(receive: Receive, feed: TaskFeed) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    feed.leave()
