"""One post takes no longer than it may, whatever takes its time."""

from __future__ import annotations

import socket
import socketserver
import threading
import time

import pytest

from notices import posting
from notices.posting import NotTaken
from tests.receivers import a_receiver

_RECORD = b"\x16\x03\x03\x40\x00"  # begins a TLS handshake message of 16 KiB


@pytest.fixture(autouse=True)
def _short(settings, monkeypatch):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr("notices.posting.SECONDS", 1.0)


class _Trickling(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Say a byte now and then, for longer than anybody should listen."""
        ended = threading.Event()
        try:
            self.request.sendall(_RECORD)
            for _ in range(40):
                ended.wait(0.2)
                self.request.sendall(b"\x02")
        except OSError:
            ended.set()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def test_a_tls_handshake_that_trickles_is_cut():
    with _Server(("127.0.0.1", 0), _Trickling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(NotTaken, match="No answer within 1 seconds"):
            posting.post(f"https://127.0.0.1:{server.server_address[1]}/", b"{}", {})
        assert time.monotonic() - began < 4
        server.shutdown()


def test_nothing_is_sent_when_the_look_up_of_the_name_took_all_the_time(monkeypatch):
    look_up = socket.getaddrinfo

    def slow(*given, **more):
        threading.Event().wait(1.1)
        return look_up(*given, **more)

    monkeypatch.setattr("notices.targets.socket.getaddrinfo", slow)
    with a_receiver() as receiver:
        with pytest.raises(NotTaken, match="No answer within 1 seconds"):
            posting.post(receiver.url, b"{}", {})
        assert receiver.got == []
