"""A load generator on raw sockets: cheap enough to leave the machine to what it measures.

`python -m tests.bench._load` reads its orders as JSON from standard input and prints what it saw.
Times count from the moment a request should have been sent, not from when a slow client got to it
(coordinated omission).
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

_HEAD_END = b"\r\n\r\n"


@dataclass(kw_only=True)
class Orders:
    """What to send, how often, how long."""

    port: int
    path: str
    token: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    connections: int = 64
    seconds: float = 5.0
    rate: float = 0.0  # requests a second; 0: each connection sends as soon as it was answered
    patience: float = 20.0  # seconds an answer is waited for after the end
    keep_ids: bool = False


@dataclass(kw_only=True)
class Seen:
    """What came back."""

    statuses: dict[str, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)  # of those accepted
    refused_milliseconds: list[float] = field(default_factory=list)
    unanswered: int = 0
    cut: int = 0  # connections that broke while a request was out
    sent: int = 0
    seconds: float = 0.0
    ids: list[str] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return len(self.milliseconds) / self.seconds

    def count(self, status: int, milliseconds: float) -> None:
        """Count one answer."""
        self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1
        kept = self.milliseconds if 200 <= status < 300 else self.refused_milliseconds
        kept.append(milliseconds)


class _Line:
    """One connection; at most one request is out."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket: socket.socket
        self.due = 0.0
        self.busy = False
        self.buffer = b""

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.busy, self.buffer = False, b""

    def send(self, request: bytes, due: float) -> None:
        self.due, self.busy = due, True
        self.socket.send(request)

    def read(self) -> tuple[int, bytes] | None:
        """Return status and body of a whole answer, None until it is there."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the server")
        data = self.buffer + data
        end = data.find(_HEAD_END)
        start = data.find(b"content-length: ", 0, end)
        if start < 0:
            start = data.find(b"Content-Length: ", 0, end)
        if end < 0 or start < 0:
            self.buffer = data
            return None
        length = int(data[start + 16 : data.index(b"\r", start)])
        body = data[end + 4 :]
        if len(body) < length:
            self.buffer = data
            return None
        self.busy, self.buffer = False, b""
        return int(data[9:12]), body


class Generator:
    """Keeps lines busy until the time is over, then waits for the last answers."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._seen = Seen()
        self._poll = select.epoll()
        self._lines: dict[int, _Line] = {}
        self._free: deque[_Line] = deque()
        self._head, self._tail = _request(orders)
        self._key = f"{os.getpid()}-{time.time_ns()}"

    def run(self) -> Seen:
        """Send, and return what came back."""
        for _ in range(self._orders.connections):
            self._connect(_Line(self._orders.port))
        began = time.perf_counter()
        end = began + self._orders.seconds
        scheduled = 0
        while (now := time.perf_counter()) < end:
            if self._orders.rate:
                while self._free and (due := began + scheduled / self._orders.rate) <= now:
                    scheduled += 1
                    self._send(self._free.popleft(), due)
            else:
                while self._free:
                    self._send(self._free.popleft(), time.perf_counter())
            self._collect(0.001)
        self._seen.seconds = time.perf_counter() - began
        while self._busy() and time.perf_counter() < end + self._orders.patience:
            self._collect(0.05)
        self._seen.unanswered = self._busy()
        self._seen.cpu = time.process_time()
        return self._seen

    def _busy(self) -> int:
        return sum(line.busy for line in self._lines.values())

    def _connect(self, line: _Line) -> None:
        try:
            line.open()
        except OSError:
            time.sleep(0.05)
            line.open()
        self._lines[line.socket.fileno()] = line
        self._poll.register(line.socket, select.EPOLLIN)
        self._free.append(line)

    def _send(self, line: _Line, due: float) -> None:
        self._seen.sent += 1
        key = f"{self._key}-{self._seen.sent}".encode()
        try:
            line.send(self._head + key + self._tail, due)
        except OSError:
            self._broken(line)

    def _collect(self, seconds: float) -> None:
        for number, _ in self._poll.poll(seconds):
            line = self._lines[number]
            try:
                answer = line.read()
            except BlockingIOError:
                continue
            except OSError:
                self._broken(line)
                continue
            if answer is not None:
                self._count(line, *answer)

    def _count(self, line: _Line, status: int, body: bytes) -> None:
        self._seen.count(status, (time.perf_counter() - line.due) * 1000)
        if self._orders.keep_ids and status == 202:
            self._seen.ids.append(json.loads(body)["id"])
        self._free.append(line)

    def _broken(self, line: _Line) -> None:
        self._seen.cut += line.busy
        del self._lines[line.socket.fileno()]
        self._poll.unregister(line.socket)
        line.socket.close()
        self._connect(line)


def _request(orders: Orders) -> tuple[bytes, bytes]:
    """Return the request before and after its Idempotency-Key."""
    body = json.dumps(orders.body).encode()
    head = [f"POST {orders.path} HTTP/1.1", f"Host: 127.0.0.1:{orders.port}"]
    if orders.token:
        head.append(f"Authorization: Bearer {orders.token}")
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "Idempotency-Key: "]).encode(), b"\r\n\r\n" + body


def main() -> None:
    """Do as ordered."""
    sys.stdout.write(json.dumps(asdict(Generator(Orders(**json.load(sys.stdin))).run())))


if __name__ == "__main__":
    main()
