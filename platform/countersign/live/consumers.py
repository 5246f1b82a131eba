"""The WebSocket consumers: connect, send a feed, answer pings; no rules and no writes."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from agents.runtime.database import in_db
from countersign.live.cursors import InvalidCursor, cursor_of
from countersign.live.feeds import TaskFeed, activity
from countersign.live.frames import NoticeFrame, Sent, Signal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from countersign.live.identity import Viewer

OVER = 1000
TRY_LATER = 1013
BAD_FRAME = 4400
SIGN_IN = 4401
FORBIDDEN = 4403
NOT_FOUND = 4404  # unknown, or a task of somebody else's project: the same answer

MAX_FRAME = 16 * 1024  # characters a client may send at once
MAX_DEPTH = 8


class Refused(Exception):
    """The socket is closed with a code and a reason for the reader."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FeedConsumer(AsyncWebsocketConsumer):
    """Sends one feed to one socket."""

    # The mux fans out in memory; a channel layer would add a subscription per socket.
    channel_layer_alias = ""
    _pump: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Accept first: a browser sees the close code only of an accepted socket."""
        await self.accept()
        try:
            feed = await self._open()
        except Refused as refused:
            await self.close(refused.code, refused.reason)
        except DatabaseError:
            await self.close(TRY_LATER, "The database cannot be reached. Connect again.")
        else:
            self._pump = asyncio.create_task(self._send_all(feed))

    async def _open(self) -> AsyncGenerator[Sent | Signal, None]:
        viewer: Viewer | None = self.scope["viewer"]  # type: ignore[typeddict-item]  # put there by sockets
        if viewer is None:
            raise Refused(SIGN_IN, "Sign in, or send a bearer token with tasks:read.")
        return await self.feed(viewer)

    async def feed(self, viewer: Viewer) -> AsyncGenerator[Sent | Signal, None]:
        """Return what this socket is sent; raises Refused."""
        raise NotImplementedError

    async def _send_all(self, feed: AsyncGenerator[Sent | Signal, None]) -> None:
        try:
            async with aclosing(feed) as items:
                async for item in items:
                    await self._send_item(item)
        except Refused as refused:
            await self.close(refused.code, refused.reason)
        except DatabaseError:
            await self.close(TRY_LATER, "The database cannot be reached. Connect again.")

    async def _send_item(self, item: Sent | Signal) -> None:
        match item:
            case Sent(body=body):
                await self.send(body)
            case Signal.PING:
                await self.send(_notice("ping"))
            case Signal.RESYNC:
                await self.send(_notice("resync"))
            case Signal.FORBIDDEN:
                raise Refused(FORBIDDEN, "You may not watch this any more.")
            case Signal.END:
                await self.send(_notice("end"))
                raise Refused(OVER, "The task is over and everything was sent.")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a ping; close on anything else."""
        if text_data is not None and _is_ping(text_data):
            await self.send(_notice("ping"))
        else:
            await self.close(BAD_FRAME, 'Send {"kind": "ping"} or nothing.')

    async def disconnect(self, code: int) -> None:
        """Stop sending; the feed gives its subscription back."""
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump


class TaskConsumer(FeedConsumer):
    """One task: every event after the cursor, then live, until it is over."""

    async def feed(self, viewer: Viewer) -> AsyncGenerator[Sent | Signal, None]:
        """Check the task and the cursor; unknown and foreign tasks are refused alike."""
        query = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        try:
            task_id = uuid.UUID(self.scope["url_route"]["kwargs"]["task_id"])
            after = cursor_of(query.get("after", ["0"])[-1])
        except InvalidCursor as error:
            raise Refused(BAD_FRAME, str(error)) from error
        except ValueError as error:
            raise Refused(NOT_FOUND, "There is no such task.") from error
        if not await in_db(viewer.may_watch, task_id):
            raise Refused(NOT_FOUND, "There is no such task.")
        return TaskFeed(task_id, after=after, viewer=viewer).items()


class ActivityConsumer(FeedConsumer):
    """Everything that moves in the projects of a person."""

    async def feed(self, viewer: Viewer) -> AsyncGenerator[Sent | Signal, None]:
        """Follow all projects of the person."""
        return activity(viewer)


class UnknownConsumer(FeedConsumer):
    """Any other path."""

    async def feed(self, viewer: Viewer) -> AsyncGenerator[Sent | Signal, None]:
        """Refuse as for an unknown task."""
        raise Refused(NOT_FOUND, "There is nothing to watch here.")


def _notice(kind: Any) -> str:
    return json.dumps(NoticeFrame(kind=kind))


def _is_ping(text: str) -> bool:
    if len(text) > MAX_FRAME or _depth(text) > MAX_DEPTH:
        return False
    try:
        frame = json.loads(text)
    except ValueError:
        return False
    return isinstance(frame, dict) and frame.get("kind") == "ping"


def _depth(text: str) -> int:
    """Return at most how deep brackets nest, before a parser recurses into them."""
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
