"""A scripted OpenAI-compatible streaming server for tests: the wire is real, the answers are not.

A script is a callable `(Request) -> Reply` or a JSON file with a list of replies, used in order:
    {"text": "…", "thinking": "…", "calls": [{"name": "read_file", "arguments": {…}}], "status": 200, "delay": 0,
     "cut": false, "retry_after": null}
Run alone: `python -m tests.stub_model --port 18900 --script script.json`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Call:
    """One tool call of a reply; text as arguments is sent as it is, valid JSON or not."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)


@dataclass
class Reply:
    """What the server answers to one request."""

    text: str = ""
    thinking: str = ""  # sent before the text
    calls: list[Call] = field(default_factory=list)
    status: int = 200
    body: dict[str, Any] | None = None
    delay: float = 0  # seconds before the first byte
    pace: float = 0  # seconds between pieces of text
    cut: bool = False  # ends the stream without a finish_reason
    retry_after: str = ""
    finish: str = ""
    tokens: tuple[int, int] | None = (100, 20)


@dataclass
class Request:
    """What the client asked."""

    number: int  # from 0, over the life of the server
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation so far."""
        return self.body.get("messages", [])

    @property
    def tools(self) -> list[str]:
        """Names of the tools the model may call, output tools included."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]

    @property
    def turn(self) -> int:
        """How many answers the conversation already holds."""
        return sum(message["role"] == "assistant" for message in self.messages)

    @property
    def system(self) -> str:
        """The instructions."""
        return "\n".join(_text(m) for m in self.messages if m["role"] in {"system", "developer"})

    @property
    def prompt(self) -> str:
        """Everything said as the user."""
        return "\n".join(_text(m) for m in self.messages if m["role"] == "user")

    @property
    def results(self) -> list[str]:
        """The tool results, oldest first."""
        return [_text(message) for message in self.messages if message["role"] == "tool"]


Script = Callable[[Request], Reply]


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def sequence(*replies: Reply) -> Script:
    """Answer with these replies in order, whoever asks."""
    left = iter(replies)
    lock = threading.Lock()

    def script(_: Request) -> Reply:
        with lock:
            return next(left, Reply(status=500, body={"error": {"message": "script is over"}}))

    return script


def from_json(path: Path) -> Script:
    """Read a script of replies in order."""
    replies = json.loads(path.read_text(encoding="utf-8"))
    return sequence(
        *(
            Reply(**{**reply, "calls": [Call(**c) for c in reply.get("calls", [])]})
            for reply in replies
        )
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubModel

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = self.server.note(self.path, dict(self.headers), body)
        reply = self.server.script(request)
        time.sleep(reply.delay)
        if reply.status != 200:
            self._refuse(reply)
        elif body.get("stream"):
            self._stream(reply, body, request.number)
        else:
            self._send_json(200, _whole(reply, body))

    def _refuse(self, reply: Reply) -> None:
        default = {"error": {"message": f"scripted {reply.status}", "code": str(reply.status)}}
        self._send_json(reply.status, reply.body or default, reply.retry_after)

    def _send_json(self, status: int, body: dict[str, Any], retry_after: str = "") -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, reply: Reply, body: dict[str, Any], number: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for chunk in _chunks(reply, body):
                self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                self.wfile.flush()
                if reply.pace:
                    time.sleep(reply.pace)
            if not reply.cut:
                self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server.left[number] = time.monotonic()  # the client went away, as it may

    def log_message(self, *args: object) -> None:
        """Stay silent."""


def _chunks(reply: Reply, body: dict[str, Any]) -> itertools.chain[dict[str, Any]]:
    return itertools.chain(
        (_chunk(body, {"role": "assistant", "content": ""}),),
        (_chunk(body, {"reasoning_content": piece}) for piece in _pieces(reply.thinking)),
        (_chunk(body, {"content": piece}) for piece in _pieces(reply.text)),
        (_chunk(body, {"tool_calls": [delta]}) for delta in _call_deltas(reply.calls)),
        () if reply.cut else (_chunk(body, {}, finish=_finish(reply)),),
        () if reply.cut or reply.tokens is None else (_usage_chunk(reply, body),),
    )


def _pieces(text: str) -> list[str]:
    return [text[at : at + 12] for at in range(0, len(text), 12)]


def _call_deltas(calls: list[Call]) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": f"call_{time.monotonic_ns()}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": _arguments(call)},
        }
        for index, call in enumerate(calls)
    ]


def _arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def _finish(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def _chunk(
    body: dict[str, Any], delta: dict[str, Any], finish: str | None = None
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": body.get("model", "stub"),
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _usage(reply: Reply) -> dict[str, int]:
    asked, answered = reply.tokens or (0, 0)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _usage_chunk(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    return {**_chunk(body, {}), "choices": [], "usage": _usage(reply)}


def _whole(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text, "tool_calls": _call_deltas(reply.calls)}
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    head = {"id": "chatcmpl-stub", "object": "chat.completion", "created": 1_700_000_000}
    return {**head, "model": body.get("model", "stub"), "choices": [choice], "usage": _usage(reply)}


class StubModel(ThreadingHTTPServer):
    """The server; use it as a context manager."""

    daemon_threads = True

    def __init__(self, script: Script, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script = script
        self.requests: list[Request] = []
        self.left: dict[int, float] = {}  # request: when its client closed the stream unfinished
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def note(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Request:
        """Keep a request and number it."""
        with self._lock:
            request = Request(len(self.requests), path, headers, body)
            self.requests.append(request)
        return request

    def __enter__(self) -> StubModel:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()


def main() -> None:
    """Serve one JSON script until stopped."""
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible server.")
    parser.add_argument("--port", type=int, default=18900)
    parser.add_argument("--script", type=Path, required=True)
    options = parser.parse_args()
    StubModel(from_json(options.script), options.port).serve_forever()


if __name__ == "__main__":
    main()
