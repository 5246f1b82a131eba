"""The WebSocket consumers: connect, send a feed, answer pings; no rules and no writes."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from countersign.live import tickets
from countersign.live.cursors import InvalidCursor, cursor_of
from countersign.live.feeds import ActivityFeed
from countersign.live.frames import NoticeFrame, Sent, Signal
from countersign.live.opening import NotSignedIn, open_feed, viewer_of
from countersign.live.replaying import NotWatchable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from countersign.live.feeds import TaskFeed
    from countersign.live.identity import Shown

OVER = 1000
FAULT = 1011
TRY_LATER = 1013
BAD_FRAME = 4400
SIGN_IN = 4401
FORBIDDEN = 4403
NOT_FOUND = 4404  # unknown, or a task of somebody else's project: the same answer

logger = logging.getLogger(__name__)

MAX_FRAME = 16 * 1024  # characters a client may send at once
MAX_DEPTH = 8
AT_ONCE = 4  # frames; asyncio complains of the fifth write to a client that has left


class Refused(Exception):
    """The socket is closed with a code and a reason for the reader."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Gone(Exception):
    """The client left, and the server has not said so yet."""


class FeedConsumer(AsyncWebsocketConsumer):
    """Sends one feed to one socket."""

    # The mux fans out in memory; a channel layer would add a subscription per socket.
    channel_layer_alias = ""
    _pump: asyncio.Task[None] | None = None
    _open = False
    _asked = False  # for a ping, before the feed was open

    async def connect(self) -> None:
        """Accept first: a browser sees the close code only of an accepted socket."""
        await self.accept()
        self._pump = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            feed = await self.feed()
            self._open = True
            if self._asked:
                await self._say(self.ping())
            await self._send_all(feed)
        except Gone:
            return
        except Refused as refused:
            await self.close(refused.code, refused.reason)
        except NotSignedIn:
            await self.close(SIGN_IN, "Sign in, or send a bearer token with tasks:read.")
        except NotWatchable:
            await self.close(NOT_FOUND, "There is no such task.")
        except DatabaseError:
            await self.close(TRY_LATER, "The database cannot be reached. Connect again.")
        except Exception:
            logger.exception("a feed failed")
            await self.close(FAULT, "Countersign failed here. Connect again.")

    @property
    def shown(self) -> Shown:
        """What the handshake showed."""
        return self.scope["shown"]  # type: ignore[typeddict-item,no-any-return]  # put there by sockets

    async def feed(self) -> AsyncGenerator[Sent | Signal, None]:
        """Open the feed and return what it says; raises Refused, NotSignedIn, NotWatchable, DatabaseError."""
        raise NotImplementedError

    async def _send_all(self, feed: AsyncGenerator[Sent | Signal, None]) -> None:
        async with aclosing(feed) as items:
            sent = 0
            async for item in items:
                if isinstance(item, Sent):
                    await self._say(item.body)
                else:
                    await self._signal(item)
                sent += 1
                if sent % AT_ONCE == 0:
                    await asyncio.sleep(0)  # a send need not wait: let the loop say who has left
                del item  # while it waits, thousands of sockets would keep their last frame

    async def _say(self, body: str) -> None:
        try:
            await self.send(body)
        except OSError as error:  # what ASGI servers raise
            raise Gone from error

    async def _signal(self, signal: Signal) -> None:
        match signal:
            case Signal.PING:
                await self._say(self.ping())
            case Signal.RESYNC:
                await self._say(_notice("resync"))
            case Signal.FORBIDDEN:
                raise Refused(FORBIDDEN, "You may not watch this any more.")
            case Signal.END:
                await self._say(_notice("end"))
                raise Refused(OVER, "The task is over and everything was sent.")

    def ping(self) -> str:
        """Return the sign of life."""
        return _notice("ping")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a ping, once the feed is open; close on anything else.

        An accepted socket may still be refused: only an answer says that there is a feed.
        """
        if text_data is None or not _is_ping(text_data):
            await self.close(BAD_FRAME, 'Send {"kind": "ping"} or nothing.')
        elif self._open:
            with suppress(Gone):
                await self._say(self.ping())
        else:
            self._asked = True

    async def disconnect(self, code: int) -> None:
        """Stop sending; the feed gives its subscription back."""
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump


class TaskConsumer(FeedConsumer):
    """One task: every event after the cursor, then live, until it is over."""

    _feed: TaskFeed | None = None

    async def feed(self) -> AsyncGenerator[Sent | Signal, None]:
        """Check the cursor and the right; unknown and foreign tasks are refused alike."""
        query = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown, ticket = self.shown, query.get("ticket", [""])[-1]
        try:
            after = cursor_of(query.get("after", ["0"])[-1])
        except InvalidCursor as error:
            raise Refused(BAD_FRAME, str(error)) from error
        self._feed = await open_feed(self._task(), after=after, shown=shown, ticket=ticket)
        return self._feed.items()

    def _task(self) -> uuid.UUID:
        try:
            return uuid.UUID(self.scope["task"])  # type: ignore[typeddict-item]  # put there by sockets
        except ValueError as error:
            raise NotWatchable from error

    def ping(self) -> str:
        """Return the sign of life with a ticket to come back by.

        Not before rows were asked: who came by a ticket would renew it for ever.
        """
        feed = self._feed
        if feed is None or not feed.checked:
            return _notice("ping")
        return json.dumps(NoticeFrame(kind="ping", ticket=tickets.make(feed.viewer, feed.task)))


class ActivityConsumer(FeedConsumer):
    """Everything that moves in the projects of a person."""

    async def feed(self) -> AsyncGenerator[Sent | Signal, None]:
        """Follow all projects of the person."""
        feed = ActivityFeed(await viewer_of(self.shown))
        await feed.open()
        return feed.items()


class UnknownConsumer(FeedConsumer):
    """Any other path."""

    async def feed(self) -> AsyncGenerator[Sent | Signal, None]:
        """Refuse as for an unknown task."""
        await viewer_of(self.shown)
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
