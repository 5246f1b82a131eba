"""Scripts and styles out of memory, once Django has answered for them: a page asks for thirty at once.

Through Django each takes a thread, four changes to it and back, and is packed anew. Beside a process
that draws a long review these took more than the drawing, and the page waited for its own styles.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Message = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
    Answer = tuple[Message, Message]

FOLDER = "/static/"
_KEPT, _LARGEST = 8 * 1024 * 1024, 1024 * 1024  # bytes of all files, and of one
# Who sends one of these asks for something else than the whole file.
_IN_PART = frozenset((b"if-none-match", b"if-modified-since", b"if-range", b"range"))
_PACKED = (b"", b"gzip")
_GZIP = re.compile(rb"\bgzip\b")


def kept(site: Application) -> Application:
    """Return an application that answers again what never changes; all else, `site` answers."""
    files: LRUCache[tuple[str, bool], Answer] = LRUCache(
        _KEPT, getsizeof=lambda answer: len(answer[1]["body"])
    )

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if (name := _name(scope)) is None:
            await site(scope, receive, send)
        elif (answer := files.get(name)) is not None:
            for message in answer:
                await send(message)
        else:
            heard = _Heard(send)
            await site(scope, receive, heard.pass_on)
            if (answer := heard.answer()) is not None:
                files[name] = answer

    return application


def _name(scope: dict[str, Any]) -> tuple[str, bool] | None:
    """Return what tells a file asked for as a whole from others, with whether it may be packed."""
    if scope["method"] != "GET" or scope["query_string"]:
        return None
    if any(name in _IN_PART for name, _ in scope["headers"]):
        return None
    # As Django reads it, or one client would be answered as another asked.
    accepts = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
    return scope["path"], _GZIP.search(accepts) is not None


class _Heard:
    """Passes an answer on and remembers it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._body: list[bytes] = []
        self._whole = False

    async def pass_on(self, message: Message) -> None:
        """Send a message of the answer."""
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._body.append(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        await self._send(message)

    def answer(self) -> Answer | None:
        """Return what to say from now on; none where another time another answer may be right."""
        headers = {name.lower(): value for name, value in self._start.get("headers", ())}
        body = b"".join(self._body)
        for_ever = b"immutable" in headers.get(b"cache-control", b"")
        packed = headers.get(b"content-encoding", b"")
        if not for_ever or not self._whole or self._start["status"] != 200:
            return None
        if packed not in _PACKED or len(body) > _LARGEST or b"set-cookie" in headers:
            return None
        headers[b"content-length"] = b"%d" % len(body)
        start = {**self._start, "headers": list(headers.items())}
        return start, {"type": "http.response.body", "body": body}
