"""A TCP proxy that cuts connections where a test says: all of them, or after so many bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOCKET = b"GET /ws/"  # how a WebSocket of ours begins


@dataclass(eq=False)
class _Pair:
    client: socket.socket
    server: socket.socket
    is_socket: bool = False
    left: int | None = None  # bytes it may still carry to the client

    def close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class CuttingProxy:
    """Stands between clients and the server; a context manager.

    `budgets` are the bytes the next connections may carry to their client before they are cut;
    with `only_sockets` they count for WebSockets alone. `cuts` counts every connection cut, `sockets`
    every WebSocket that began.
    """

    def __init__(self, port: int, *, only_sockets: bool = False) -> None:
        self.budgets: list[int] = []
        self.cuts = self.sockets = 0
        self._only_sockets = only_sockets
        self._shut = threading.Event()
        self._swallows = threading.Event()
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> int:
        """End every connection that is a stream (or any, without `only_sockets`); return how many."""
        with self._lock:
            chosen = [pair for pair in self._pairs if pair.is_socket or not self._only_sockets]
            self._pairs.difference_update(chosen)
            self.cuts += len(chosen)
        for pair in chosen:
            pair.close()
        return len(chosen)

    def shut(self) -> None:
        """End every connection whatever it is, and take no other until `mend`."""
        self._shut.set()
        with self._lock:
            chosen, self._pairs = self._pairs, set()
            self.cuts += sum(pair.is_socket or not self._only_sockets for pair in chosen)
        for pair in chosen:
            pair.close()

    @contextlib.contextmanager
    def swallowing(self) -> Iterator[None]:
        """Take new WebSockets and answer them nothing; what hangs then is cut at the end."""
        self._swallows.set()
        yield
        self._swallows.clear()
        self.cut()

    def mend(self) -> None:
        """Take connections again."""
        self._shut.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._shut.is_set():
            client.close()
            return
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        pair = _Pair(client, server)
        with self._lock:
            self._pairs.add(pair)
        upward = threading.Thread(target=self._up, args=(pair,), daemon=True)
        upward.start()
        self._down(pair)
        pair.close()
        upward.join()
        with self._lock:
            self._pairs.discard(pair)
        client.close()
        server.close()

    def _up(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while data := pair.client.recv(65_536):
                self._look(pair, data)
                if not (pair.is_socket and self._swallows.is_set()):
                    pair.server.sendall(data)
        pair.close()

    def _look(self, pair: _Pair, request: bytes) -> None:
        """Give a new stream its budget."""
        if pair.is_socket or pair.left is not None:
            return
        pair.is_socket = request.startswith(_SOCKET)
        self.sockets += pair.is_socket
        if self.budgets and (pair.is_socket or not self._only_sockets):
            with self._lock:
                pair.left = self.budgets.pop(0) if self.budgets else None

    def _down(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while data := pair.server.recv(65_536):
                if pair.left is None:
                    pair.client.sendall(data)
                    continue
                pair.client.sendall(data[: pair.left])
                pair.left -= len(data)
                if pair.left <= 0:
                    self._spent(pair)
                    return

    def _spent(self, pair: _Pair) -> None:
        with self._lock:
            self._pairs.discard(pair)
            self.cuts += 1
