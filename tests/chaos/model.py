"""The model of the chaos runs: OpenAI's wire, no latency, and told when to stall or cut a stream.

What it answers depends on the conversation alone: `[kind] number` in the request says which story
is played. It counts how often each conversation was put to it. A process of its own:
`python -m tests.chaos.model`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import subprocess
import sys
import urllib.request
from collections import Counter, defaultdict
from typing import Any, Self

import uvloop
from aiohttp import web

KINDS = ("report", "change", "ask", "extra", "block", "call", "beside", "undo", "grant", "held")
# Calls of a tool outside, by kind of story: one after the other or, beside a question, at once.
_PAID = {"call": 1, "beside": 2, "undo": 1, "grant": 4}
_REPORTS = ("report", *_PAID)
PAY = "pay__pay"
_STORY = re.compile(rf"\[({'|'.join(KINDS)})\] (\d+)")
UNBLOCK = "You may go on now."
_AGAIN = re.compile(r"\[once more\]")
STALL_SECONDS = 3.0


class Model:
    """The server as a child process; a context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.chaos.model"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"http://127.0.0.1:{self._port}/v1"

    def trouble(self, kind: str, count: int) -> None:
        """Let the next `count` answers `stall` or be `cut`."""
        self._ask(f"/trouble/{kind}/{count}")

    def asked(self) -> dict[str, dict[str, int]]:
        """Return by story how often each of its conversations was put, and how many were spoilt."""
        counts: dict[str, dict[str, int]] = self._ask("/asked")
        return counts

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
            return json.loads(answer.read())


def story_of(body: dict[str, Any]) -> tuple[str, str]:
    """Return the kind and the number of the story that a conversation belongs to."""
    found = _STORY.search(json.dumps(body["messages"]))
    return (found[1], found[2]) if found else ("report", "0")


def fingerprint(body: dict[str, Any]) -> str:
    """Return what makes a conversation the same one: its words, not the ids of its calls."""
    said = [_said(message) for message in body["messages"]]
    tools = sorted(tool["function"]["name"] for tool in body.get("tools", []))
    return hashlib.sha256(json.dumps([said, tools]).encode()).hexdigest()[:16]


def _said(message: dict[str, Any]) -> list[Any]:
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return [message["role"], message.get("content") or "", calls]


def replies_to(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the tools to call, each with its arguments."""
    name, arguments = _reply_to(body)
    kind, number = story_of(body)
    if kind != "beside" or name != PAY:
        return [(name, arguments)]
    asks = ("ask_agent", _question(kind, number))
    return [(name, arguments), asks, (PAY, {"invoice": f"{number}-1", "cents": 900})]


def _reply_to(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    tools = {tool["function"]["name"] for tool in body["tools"]}
    kind, number = story_of(body)
    if "submit_plan" in tools:
        return "submit_plan", _plan(kind, number)
    if "submit_proposal" in tools:
        report = "All is well." if kind in _REPORTS else ""
        return "submit_proposal", {"title": "Do it", "summary": "It is done.", "report": report}
    if "give_answer" in tools:
        return "give_answer", {"status": "answered", "answer": "Yes, so it is."}
    return _work(kind, number, body)


def _plan(kind: str, number: str) -> dict[str, Any]:
    keys = ("one", "two") if kind in {"change", "held"} else ("one",)
    steps = [
        {
            "id": key,
            "agent": "coder",
            "title": f"Do part {key}",
            "instructions": f"[{kind}] {number}: part {key}.",
        }
        for key in keys
    ]
    outcome = "report" if kind in _REPORTS else "change"
    return {"title": f"Story {number}", "outcome": outcome, "steps": steps}


def _work(kind: str, number: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    said = json.dumps(body["messages"])
    called = [c["function"]["name"] for m in body["messages"] for c in m.get("tool_calls") or []]
    part = match[1] if (match := re.search(r"part (\w+)", said)) else "one"
    done = {"status": "done", "summary": f"Part {part} is done."}
    if called.count(PAY) < _PAID.get(kind, 0):
        return PAY, {"invoice": f"{number}-{called.count(PAY)}", "cents": 900}
    if kind in _REPORTS:
        return "report_result", {**done, "report": "All is well."}
    if kind == "block" and UNBLOCK not in said:
        return "report_result", {"status": "blocked", "summary": "I need a person to let me go on."}
    if kind == "ask" and "ask_agent" not in called:
        return "ask_agent", _question(kind, number)
    again = "again-" if _AGAIN.search(said) else ""
    if "write_file" not in called:
        path = f"notes/{number}-{again}{part}.txt"
        return "write_file", {"path": path, "content": f"Story {number}, {again}{part}.\n"}
    if kind == "extra" and part == "one":
        more = {"id": f"more-{number}", "agent": "coder", "title": "Do part two"}
        more["instructions"] = f"[extra] {number}: part two."
        return "report_result", {**done, "extra_steps": [more]}
    return "report_result", done


def _question(kind: str, number: str) -> dict[str, Any]:
    goal = f"Know the format of story {number}"
    return {"agent": "tester", "goal": goal, "question": f"[{kind}] {number}: is it so?"}


class _Server:
    def __init__(self) -> None:
        self.trouble: dict[str, int] = defaultdict(int)
        self.asked: dict[str, Counter[str]] = defaultdict(Counter)
        self.calls = 0

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.calls += 1
        _, number = story_of(body)
        self.asked[number][fingerprint(body)] += 1
        answer = stream_of(replies_to(body), self.calls)
        kind = next((kind for kind, left in self.trouble.items() if left > 0), "")
        if not kind:
            return web.Response(body=answer, content_type="text/event-stream")
        self.trouble[kind] -= 1
        self.asked[number]["spoilt"] += 1
        return await self._spoilt(request, kind, answer)

    async def _spoilt(self, request: web.Request, kind: str, answer: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(answer[: len(answer) // 2])
        if kind == "stall":
            await asyncio.sleep(STALL_SECONDS)
            await response.write(answer[len(answer) // 2 :])
        elif request.transport is not None:
            request.transport.close()
        return response

    async def set_trouble(self, request: web.Request) -> web.Response:
        self.trouble[request.match_info["kind"]] = int(request.match_info["count"])
        return web.json_response({})

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response(self.asked)


def stream_of(replies: list[tuple[str, dict[str, Any]]], number: int) -> bytes:
    """Return tool calls of one answer as OpenAI's event stream."""
    calls = [
        {
            "index": index,
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for index, (name, arguments) in enumerate(replies)
    ]
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": calls}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": usage},
    ]
    head = {"id": "stub", "object": "chat.completion.chunk", "created": 1, "model": "stub"}
    lines = [json.dumps({**head, **chunk}) for chunk in chunks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


async def _serve() -> None:
    server = _Server()
    app = web.Application(client_max_size=32 * 1024**2)
    app.router.add_post("/v1/chat/completions", server.complete)
    app.router.add_get("/trouble/{kind}/{count}", server.set_trouble)
    app.router.add_get("/asked", server.tell)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    # The parent holds the other end: when it is gone, however it went, this ends too.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
