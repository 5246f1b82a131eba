"""uvicorn's HTTP as the web server speaks it: answers made in one turn of the loop leave together.

uvicorn writes the head and the body of an answer each by itself, and uvloop sends each at once: two
system calls and two packets. And each answer woke its reader by itself, which went to sleep again
while the next was made: waking was a quarter of what a request for work costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

_HEAD = b"HTTP/1.1 "
_MOST = 65_536  # bytes of one answer that are held


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 over a transport that holds answers; a WebSocket gets the plain one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        outbox = _outboxes.setdefault(self.loop, _Outbox(self.loop))
        super().connection_made(_Holding(transport, outbox))  # type: ignore[arg-type]

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on, after the answers before."""
        self.transport.flush()  # type: ignore[attr-defined]
        self.transport = self.transport.plain  # type: ignore[attr-defined]
        super().handle_websocket_upgrade()


class _Outbox:
    """The connections of one loop with something to send at the end of its turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._lines: list[_Holding] = []

    def add(self, line: _Holding) -> None:
        if not self._lines:
            self._call_soon(self._send)
        self._lines.append(line)

    def _send(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            line.flush()


_outboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Outbox] = WeakKeyDictionary()


class _Holding:
    """A transport that holds an answer from its head on; what comes later in a stream it does not."""

    __slots__ = ("_held", "_outbox", "plain")

    def __init__(self, plain: asyncio.Transport, outbox: _Outbox) -> None:
        self.plain = plain
        self._outbox = outbox
        self._held = b""

    def write(self, data: bytes) -> None:
        if self._held:
            self._held += data
            if len(self._held) > _MOST:
                self.flush()
        elif data.startswith(_HEAD):
            self._held = data
            self._outbox.add(self)
        else:
            self.plain.write(data)

    def flush(self) -> None:
        held, self._held = self._held, b""
        if held:
            self.plain.write(held)

    def close(self) -> None:
        self.flush()
        self.plain.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)
