"""Thousands of clients of the streams in one process, on raw sockets, and when each frame came.

`python -m tests.bench._watchers` reads its orders as one JSON line, says `ready` when every client
has what it must have, and reports when its standard input ends.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

_LATE = 30.0  # seconds everybody has to be ready in


@dataclass(kw_only=True)
class Orders:
    """Who watches what."""

    port: int
    tasks: list[str]  # one client each
    kind: str = "sse"  # or ws
    token: str = ""
    tickets: list[str] = field(default_factory=list)  # stream tokens, one client each
    after: int = 0
    frames: int = 1  # a client is ready when it has so many
    at_once: int = 400  # connections that are being made
    slow: float = 0.0  # seconds between two reads of 4 KiB; 0: read what there is


class Client:
    """One watcher; `seen` has the seq of every event and when it came."""

    def __init__(self, orders: Orders, number: int) -> None:
        self._orders = orders
        self.task = orders.tasks[number]
        self._ticket = orders.tickets[number] if orders.tickets else ""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.seen: list[tuple[int, float]] = []
        self.status = 0
        self._buffer = b""
        self._sent = False

    def connect(self) -> None:
        """Begin to connect."""
        error = self.socket.connect_ex(("127.0.0.1", self._orders.port))
        if error not in {0, errno.EINPROGRESS}:
            raise OSError(error, os.strerror(error))

    def ask(self) -> None:
        """Send the request, once."""
        if self._sent:
            return
        self._sent = True
        path, more = f"/api/v1/tasks/{self.task}/stream", []
        if self._orders.kind == "ws":
            path = f"/ws/tasks/{self.task}"
            key = base64.b64encode(os.urandom(16)).decode()
            more = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            more.append(f"Sec-WebSocket-Key: {key}")
        query = f"?after={self._orders.after}"
        query += f"&ticket={self._ticket}" if self._ticket else ""
        head = [f"GET {path}{query} HTTP/1.1", f"Host: 127.0.0.1:{self._orders.port}"]
        head.append(f"Authorization: Bearer {self._orders.token}")
        self.socket.send(("\r\n".join([*head, *more]) + "\r\n\r\n").encode())

    def read(self, size: int = 262_144) -> None:
        """Take what there is; raises ConnectionError at the end."""
        data = self.socket.recv(size)
        if not data:
            raise ConnectionError("closed")
        now = time.time()
        self._buffer += data
        if not self.status:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self.status, self._buffer = int(head[9:12]), rest
        self._frames(now)

    def _frames(self, now: float) -> None:
        split = _websocket if self._orders.kind == "ws" else _events
        bodies, self._buffer = split(self._buffer)
        for body in bodies:
            seq = json.loads(body).get("seq") if b'"seq"' in body else None
            if seq is not None:
                self.seen.append((seq, now))


def _events(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the data of whole server-sent events, whatever the chunks of HTTP, and the rest."""
    *whole, rest = data.split(b"\n\n")
    bodies = [part.partition(b"data: ")[2] for part in whole if b"data: " in part]
    return bodies, rest


def _websocket(data: bytes) -> tuple[list[bytes], bytes]:
    bodies = []
    while len(data) >= 2:
        length, start = data[1] & 127, 2
        if length == 126:
            length, start = int.from_bytes(data[2:4]), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10]), 10
        if len(data) < start + length:
            break
        bodies.append(data[start : start + length])
        data = data[start + length :]
    return bodies, data


class Crowd:
    """All clients of this process."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._poll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._waiting = deque(Client(orders, number) for number in range(len(orders.tasks)))
        self._unready: set[int] = set()
        self.everybody = list(self._waiting)
        self.lost = 0

    def gather(self) -> float:
        """Connect everybody; return the seconds until the last was ready."""
        began = time.perf_counter()
        while self._waiting or self._unready:
            while self._waiting and len(self._unready) < self._orders.at_once:
                self._open(self._waiting.popleft())
            self._turn(0.05)
            if self.lost:
                raise ConnectionError(f"{self.lost} clients were cut off")
            if time.perf_counter() - began > _LATE:
                raise TimeoutError(f"{len(self._unready)} clients are not ready")
        return time.perf_counter() - began

    def watch(self) -> None:
        """Read until standard input ends."""
        self._poll.register(sys.stdin, select.EPOLLIN)
        while self._turn(1.0):
            pass

    def _open(self, client: Client) -> None:
        client.connect()
        number = client.socket.fileno()
        self._clients[number] = client
        self._unready.add(number)
        self._poll.register(number, select.EPOLLOUT)

    def _turn(self, seconds: float) -> bool:
        if self._orders.slow:
            time.sleep(self._orders.slow)
        for number, what in self._poll.poll(seconds):
            client = self._clients.get(number)
            if client is None:
                return False
            if what & select.EPOLLOUT:
                client.ask()
                self._poll.modify(number, select.EPOLLIN)
            else:
                self._read(number, client)
        return True

    def _read(self, number: int, client: Client) -> None:
        try:
            client.read(4_096 if self._orders.slow else 262_144)
        except OSError:
            self._poll.unregister(number)
            self._unready.discard(number)
            self.lost += 1
            return
        if len(client.seen) >= self._orders.frames:
            self._unready.discard(number)


def main() -> None:
    """Do as ordered."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    crowd = Crowd(orders)
    _say({"ready": crowd.gather()})
    crowd.watch()
    _say({"lost": crowd.lost, "seen": [[c.task, c.seen] for c in crowd.everybody]})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
