"""A scripted server that speaks Anthropic's streaming Messages protocol, for tests."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stub_model import Reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubAnthropic

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        reply = self.server.replies.pop(0)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in _events(reply, body["model"]):
            line = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
            self.wfile.write(line.encode())

    def log_message(self, *args: object) -> None:
        """Stay silent."""


def _events(reply: Reply, model: str) -> Iterator[dict[str, Any]]:
    asked, answered = reply.tokens or (0, 0)
    message = {"id": "msg_stub", "type": "message", "role": "assistant", "model": model}
    usage = {"input_tokens": asked, "output_tokens": 1}
    empty = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": message | empty}
    yield from _text_block(reply.text)
    for index, call in enumerate(reply.calls, start=1):
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": call.name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
        yield from _block(index, block, delta)
    stop = {"stop_reason": "tool_use" if reply.calls else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": answered}}
    yield {"type": "message_stop"}


def _text_block(text: str) -> Iterator[dict[str, Any]]:
    yield from _block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})


def _block(index: int, block: dict[str, Any], delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


class StubAnthropic(ThreadingHTTPServer):
    """The server; gives the replies in order. Use it as a context manager."""

    daemon_threads = True

    def __init__(self, *replies: Reply) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def base_url(self) -> str:
        """What ANTHROPIC_BASE_URL is set to."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> StubAnthropic:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
