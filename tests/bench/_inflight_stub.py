"""A model server that holds thousands of streams: `python -m tests.bench._inflight_stub`.

It speaks OpenAI's streaming protocol, counts what it is asked, and prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import uvloop
from aiohttp import web

ARGUMENT_CHUNKS = 5  # of an answer's chunks, the last ones; the others are words
_STEP = re.compile(rb"flight-(\d+)")
_ANSWERED = re.compile(rb"\"role\": ?\"assistant\"")
_RESULT = json.dumps(
    {"status": "done", "summary": "Answered.", "report": "# Found\n" + "Yes. " * 30}
)
_LOOK = json.dumps({"path": ""})


@dataclass
class Streams:
    """What the server has been asked: turns by step, and which streams are open."""

    chunks: int
    seconds: float
    turns: int  # 1: the answer at once; 2: a quick tool call before it
    asked: Counter[str] = field(default_factory=Counter)  # "step/turn"
    finished: Counter[str] = field(default_factory=Counter)
    closed_at: dict[str, float] = field(default_factory=dict)  # by step, on the system's clock
    open: int = 0
    most: int = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a completion, or the counts."""
        if request.method == "GET":
            return web.json_response(self.counts())
        body = await request.read()
        step = found.group(1).decode() if (found := _STEP.search(body)) else ""
        turn = len(_ANSWERED.findall(body))
        self.asked[f"{step}/{turn}"] += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            response = await self._stream(request, step, turn)
            self.finished[f"{step}/{turn}"] += 1
            return response
        finally:
            self.open -= 1
            self.closed_at[step] = time.monotonic()

    async def _stream(self, request: web.BaseRequest, step: str, turn: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if turn + 1 < self.turns:
            for chunk in _call("list_files", _LOOK, f"call_{step}_{turn}", pieces=1):
                await response.write(chunk)
        else:
            chunks = self._words() + _call("report_result", _RESULT, f"call_{step}_{turn}")
            began, each = asyncio.get_running_loop().time(), self.seconds / len(chunks)
            for number, chunk in enumerate(chunks, start=1):
                await asyncio.sleep(began + number * each - asyncio.get_running_loop().time())
                await response.write(chunk)
        await response.write(_END)
        await response.write_eof()
        return response

    def _words(self) -> list[bytes]:
        words = self.chunks - ARGUMENT_CHUNKS
        return [_event({"content": f"word {number} and more "}) for number in range(words)]

    def counts(self) -> dict[str, Any]:
        """Return what was asked and finished so far."""
        return {
            "open": self.open,
            "most": self.most,
            "asked": self.asked,
            "finished": self.finished,
            "closed_at": self.closed_at,
        }


def _call(name: str, arguments: str, call: str, pieces: int = ARGUMENT_CHUNKS) -> list[bytes]:
    size = -(-len(arguments) // pieces)
    parts = [arguments[at : at + size] for at in range(0, len(arguments), size)]
    first = {"index": 0, "id": call, "type": "function"}
    calls = [{"index": 0, "function": {"arguments": part}} for part in parts]
    calls[0] = {**first, "function": {"name": name, "arguments": parts[0]}}
    return [_event({"tool_calls": [each]}) for each in calls]


def _event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1_700_000_000}
    body = {**head, "model": "stub", "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


_USED = {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}
_END = _event({}, "tool_calls") + _event({}, choices=[], usage=_USED) + b"data: [DONE]\n\n"


async def serve(streams: Streams) -> None:
    """Serve until killed."""
    server = web.Server(
        streams.answer, access_log=None, keepalive_timeout=300, handler_cancellation=True
    )
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--turns", type=int, default=1)
    given = parser.parse_args()
    streams = Streams(chunks=given.chunks, seconds=given.seconds, turns=given.turns)
    uvloop.run(serve(streams))


if __name__ == "__main__":
    main()
