"""A tool server of an older protocol, which has sessions, for tests: it may cling to who ends one."""

from __future__ import annotations

import json
import select
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CLINGS = 60.0  # seconds
_SERVER = {"name": "pay", "version": "1"}
_SAYS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": _SERVER,
    },
    "tools/list": {"tools": []},
    "tools/call": {"content": [{"type": "text", "text": "Paid."}], "isError": False},
}
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class ClingingServer:
    """Answers every tool; a context manager.

    The end of a session it answers `at once`, `never`, or with `headers` or a `body` that have no
    end. `left` is set when it was answered, or the other side has gone meanwhile.
    """

    def __init__(self, good_bye: str) -> None:
        self.good_bye = good_bye
        self.left = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/mcp"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: ClingingServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in asked:
            self._answer(202)
        elif (result := _SAYS.get(asked["method"])) is None:
            error = {"code": -32601, "message": "Method not found"}
            self._answer(200, {"id": asked["id"], "error": error})
        else:
            self._answer(200, {"id": asked["id"], "result": result})

    def do_GET(self) -> None:
        self._answer(405)

    def do_DELETE(self) -> None:
        match self.server.owner.good_bye:
            case "at once":
                self._answer(200)
                self.server.owner.left.set()
            case "never":
                self._cling(b"", b"")
            case "headers":
                self._cling(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a")
            case "body":
                self._cling(_CHUNKED, b"1\r\na\r\n")

    def _answer(self, status: int, said: dict[str, Any] | None = None) -> None:
        body = json.dumps({"jsonrpc": "2.0", **said}).encode() if said else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Mcp-Session-Id", "a-session")
        self.end_headers()
        self.wfile.write(body)

    def _cling(self, first: bytes, again: bytes) -> None:
        self.close_connection = True
        end = time.monotonic() + CLINGS
        try:
            self.wfile.write(first)
            while time.monotonic() < end:
                if select.select([self.connection], [], [], 0.1)[0]:
                    break  # nothing more is asked here: it has gone
                self.wfile.write(again)
            else:
                return
        except OSError:
            pass
        self.server.owner.left.set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
