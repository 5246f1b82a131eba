"""uvicorn's HTTP as the web server speaks it: the head of an answer leaves together with its body.

uvicorn writes each by itself, and uvloop sends each at once: a second system call and a second packet
were a sixth of what a request for work costs, and woke its sender twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

_HEAD = b"HTTP/1.1 "


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 over a transport that joins; a WebSocket gets the plain one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(_Joining(transport, self.loop))  # type: ignore[arg-type]

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on."""
        self.transport = self.transport.plain  # type: ignore[attr-defined]
        super().handle_websocket_upgrade()


class _Joining:
    """A transport that holds a head back until the body comes, at most to the end of the loop's turn."""

    __slots__ = ("_flush", "_held", "_loop", "plain")

    def __init__(self, plain: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.plain = plain
        self._loop = loop
        self._held = b""
        self._flush: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
            held, self._held = self._held, b""
            self.plain.write(held + data)
        elif data.startswith(_HEAD):
            self._held = data
            self._flush = self._loop.call_soon(self.write, b"")
        else:
            self.plain.write(data)

    def close(self) -> None:
        if self._flush is not None:
            self.write(b"")
        self.plain.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)
