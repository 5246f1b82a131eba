"""uvicorn's HTTP as the web server speaks it: answers made in one turn of the loop leave together.

uvicorn writes the head and the body of an answer each by itself, and uvloop sends each at once: two
system calls and two packets. And each answer woke its reader by itself, which went to sleep again
while the next was made: waking was a quarter of what a request for work costs.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = b"HTTP/1.1 "
_MOST = 65_536  # bytes of one answer that are held
_AHEAD = 100  # requests of one connection that wait for an answer to the one before


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 over a transport that holds answers; a WebSocket gets the plain one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        if (outbox := _outboxes.get(self.loop)) is None:
            outbox = _outboxes[self.loop] = _Outbox()
        self._running: RequestResponseCycle | None = None
        _send_at_once(transport)
        super().connection_made(_Holding(transport, outbox))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who is at work that the client has gone: uvicorn tells only the newest request."""
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_headers_complete(self) -> None:
        """Begin a request; a client that sends too many ahead is told 400, and the connection ends."""
        if len(self.pipeline) >= _AHEAD:
            raise httptools.HttpParserError("too many requests sent ahead")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; no more are read while some wait.

        uvicorn reads on after each answer, and so keeps whatever a client sends that never reads.
        """
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on, after the answers before; one that is owed has no place there."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()
            return
        self.transport.flush()  # type: ignore[attr-defined]
        self.transport = self.transport.plain  # type: ignore[attr-defined]
        super().handle_websocket_upgrade()


def _send_at_once(transport: asyncio.Transport) -> None:
    """Turn Nagle's algorithm off: it held the second frame of a WebSocket back for 40 ms.

    The loop does so itself, but not for a listener that was handed over as a number (`--fd`): uvicorn
    calls it a Unix socket.
    """
    with suppress(OSError):  # it is one
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Outbox:
    """The connections of one loop with something to send at the end of its turn."""

    def __init__(self) -> None:
        self._lines: list[_Holding] = []

    def add(self, line: _Holding) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._send)
        self._lines.append(line)

    def _send(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            # A client that has gone must not keep the answers of the others here.
            with suppress(OSError, RuntimeError):
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

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def write_eof(self) -> None:
        self.flush()
        self.plain.write_eof()

    def flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self.plain.is_closing():
            self.plain.write(held)

    def close(self) -> None:
        self.flush()
        self.plain.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)
