"""A webhook's receiver and a mail server, real ones on real sockets, that do what a test tells them."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What has arrived, and the statuses to answer with, one after another; the last one stays."""

    answers: list[int] = field(default_factory=lambda: [200])
    got: list[Got] = field(default_factory=list)
    on_request: Callable[[], None] = lambda: None
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    def answer(self) -> int:
        """Return the next status."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        """Note the request, then answer as told."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.got.append(Got(self.path, headers, body))
        self.receiver.on_request()
        if self.receiver.hangs:
            self.receiver.released.wait(60)
        self.send_response(self.receiver.answer())
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.receiver.body)))
        self.end_headers()
        self.wfile.write(self.receiver.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that go away are part of the tests."""


@contextmanager
def a_receiver(**facts: Any) -> Iterator[Receiver]:
    """Run one until the block ends."""
    receiver = Receiver(**facts)
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with _Server(("127.0.0.1", 0), handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join(10)


@dataclass
class Mailbox:
    """What a mail server took, and what it answers: at first, to a name, a sender, a recipient."""

    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    at_first: bytes = b"220 mail.test ready"
    to_name: bytes = b"250 fine"
    to_sender: bytes = b"250 fine"
    to_recipient: bytes = b"250 fine"
    port: int = 0


class _Smtp(socketserver.StreamRequestHandler):
    box: Mailbox

    def handle(self) -> None:
        """Speak enough of RFC 5321 for one client."""
        self._say(self.box.at_first)
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._take()
            elif verb == b"QUIT":
                return self._say(b"221 bye")
            elif verb == b"RCPT":
                self.box.recipients.append(line.decode().partition("<")[2].partition(">")[0])
                self._say(self.box.to_recipient)
            else:
                self._say(self._answers().get(verb, b"250 fine"))
        return None

    def _answers(self) -> dict[bytes, bytes]:
        box = self.box
        return {b"EHLO": box.to_name, b"HELO": box.to_name, b"MAIL": box.to_sender}

    def _take(self) -> None:
        self._say(b"354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        parsed = message_from_bytes(b"".join(lines), policy=policy.default)
        self.box.messages.append(parsed)
        self._say(b"250 kept")

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


class _SmtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def a_mail_server(**facts: Any) -> Iterator[Mailbox]:
    """Run one until the block ends."""
    box = Mailbox(**facts)
    handler = type("Handler", (_Smtp,), {"box": box})
    with _SmtpServer(("127.0.0.1", 0), handler) as server:
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join(10)
