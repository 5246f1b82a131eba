"""A TCP proxy that can be cut, or swallow what the consumers' connections carry, and only theirs."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class SwallowingProxy:
    """Stands between workers and their broker; a context manager.

    While `stalled`, a connection on which a client asks for messages (BRPOP, or AMQP's
    basic.consume) stays open and carries nothing more. All others work.
    """

    def __init__(self, port: int, *, mark: bytes = b"BRPOP") -> None:
        self.stalled = threading.Event()
        self._cut = threading.Event()
        self._mark = mark
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close(self._listener)
        self.cut()

    def cut(self) -> None:
        """End every connection and take no other, until `mend`."""
        self._cut.set()
        while self._open:
            self._close(self._open.pop())

    def mend(self) -> None:
        """Take connections again."""
        self._cut.clear()

    def _close(self, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._reach()
                if server is None:
                    client.close()
                    continue
                self._open += [client, server]
                consuming = threading.Event()
                for source, drain in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._carry, args=(source, drain, consuming), daemon=True
                    ).start()

    def _reach(self) -> socket.socket | None:
        if self._cut.is_set():
            return None
        try:
            return socket.create_connection(self._target)
        except OSError:
            return None  # the broker itself is away

    def _carry(
        self, source: socket.socket, drain: socket.socket, consuming: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self._mark in data:
                    consuming.set()
                if not (consuming.is_set() and self.stalled.is_set()):
                    drain.sendall(data)
        for each in (source, drain):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
