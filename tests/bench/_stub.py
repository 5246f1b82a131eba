"""A model server for benchmarks in a process of its own: OpenAI's wire, as little work as it can be.

It answers every kind of step with the shortest valid message, after `delay` seconds. Run alone:
`python -m tests.bench._stub --port 18900`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from typing import Any, Self

import uvloop
from aiohttp import web

STEPS = ("first", "second", "third")
_WORDS = ("First ", "I look ", "at it. ")
_FILE = re.compile(r"Write the file (notes/[\w./-]*\w)")


_HEAD = {"id": "stub", "object": "chat.completion.chunk", "created": 1, "model": "stub"}


class StubServer:
    """The server as a child process; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bench._stub", "--port", "0"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    @property
    def pid(self) -> int:
        """The process that answers."""
        assert self._process is not None
        return self._process.pid

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"http://127.0.0.1:{self.port}/v1"

    def delay(self, seconds: float) -> None:
        """Answer after so many seconds from now on."""
        url = f"http://127.0.0.1:{self.port}/delay/{seconds}"
        urllib.request.urlopen(url, timeout=5).close()

    def speak(self, first: float, more: float) -> None:
        """Say a word after `first` seconds and some more over `more`, before the answer."""
        url = f"http://127.0.0.1:{self.port}/speak/{first}/{more}"
        urllib.request.urlopen(url, timeout=5).close()

    def calls(self) -> int:
        """Return how many answers were asked for so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/calls", timeout=5) as answer:
            return int(answer.read())


def reply_to(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the tool to call and its arguments."""
    tools = {tool["function"]["name"] for tool in body["tools"]}
    prompt = json.dumps(body["messages"])
    if "submit_plan" in tools:
        return "submit_plan", _plan(prompt)
    if "submit_proposal" in tools:
        report = "" if "[change]" in prompt else "It is healthy."
        return "submit_proposal", {"title": "Answer", "summary": "Answered.", "report": report}
    wanted = _FILE.search(prompt)
    if wanted and body["messages"][-1]["role"] != "tool":
        return "write_file", {"path": wanted[1], "content": f"A note of {_number(prompt)}\n"}
    return "report_result", {"status": "done", "summary": "Answered.", "report": "Yes."}


def _plan(prompt: str) -> dict[str, Any]:
    change = _number(prompt)
    # Few names, so that the repository stays as small as it is made, however many are merged.
    told = f"Write the file notes/{change % 10}-{{}}.txt." if change else "Answer part {}."
    steps = [
        {"id": name, "agent": "coder", "title": "Answer", "instructions": told.format(name)}
        for name in STEPS
    ]
    return {"title": "Answer", "outcome": "change" if change else "report", "steps": steps}


def _number(prompt: str) -> int:
    """Return the number of a task that asks for a change, or 0."""
    change = re.search(r"\[change\] (\d+)", prompt)
    return int(change[1]) if change else 0


class _Server:
    def __init__(self) -> None:
        self.delay = 0.0
        self.first = 0.0
        self.more = 0.0
        self.calls = 0

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        body = json.loads(await request.read())
        name, arguments = reply_to(body) if body.get("tools") else ("none", {})
        if self.first:
            return await self._speak(request, _stream(name, json.dumps(arguments), self.calls))
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = _stream(name, json.dumps(arguments), self.calls)
        return web.Response(body=answer, content_type="text/event-stream")

    async def _speak(self, request: web.Request, answer: bytes) -> web.StreamResponse:
        told = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await told.prepare(request)
        for number, word in enumerate(_WORDS):
            await asyncio.sleep(self.more / len(_WORDS) if number else self.first)
            await told.write(_word(word))
        await told.write(answer)
        return told

    async def set_speech(self, request: web.Request) -> web.Response:
        self.first = float(request.match_info["first"])
        self.more = float(request.match_info["more"])
        return web.Response()

    async def set_delay(self, request: web.Request) -> web.Response:
        self.delay = float(request.match_info["seconds"])
        return web.Response()

    async def tell_calls(self, _: web.Request) -> web.Response:
        return web.Response(text=str(self.calls))


def _word(text: str) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}
    return b"data: " + json.dumps({**_HEAD, **chunk}).encode() + b"\n\n"


def _stream(name: str, arguments: str, number: int) -> bytes:
    call = {
        "index": 0,
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": usage},
    ]
    lines = [json.dumps({**_HEAD, **chunk}) for chunk in chunks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


async def _serve(port: int) -> None:
    server = _Server()
    app = web.Application(client_max_size=32 * 1024**2)
    app.router.add_post("/v1/chat/completions", server.complete)
    app.router.add_get("/delay/{seconds}", server.set_delay)
    app.router.add_get("/speak/{first}/{more}", server.set_speech)
    app.router.add_get("/calls", server.tell_calls)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=4096)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=18900)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
