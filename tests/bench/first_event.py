"""How soon a watcher sees its task begin and hears the first word, while the workers are busy.

`python -m tests.bench.first_event [--json] [--quick]`. Also how much memory an idle installation
takes. Times count from the moment a request should have been sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench._figures import Report, options, percentile
from tests.bench._inflight_house import ROOT
from tests.bench._stub import StubServer
from tests.bench._web import answers, web_server
from tests.stack import Stack
from tests.stub_model import Call, Reply, Request

ARTICLE_MS = 800.0  # the founding article's promise: to the first token
GOAL_EVENT_MS = 150.0
GOAL_MB = 600.0
RATE = 20  # submits a second
FIRST_TOKEN = 0.2  # seconds the model takes to its first word, and then to its last
REST = 0.3
CALLS = 5  # answers a task takes here: a plan, three steps, a proposal


SHORTEST: dict[str, dict[str, Any]] = {
    "submit_plan": {
        "title": "Answer",
        "outcome": "report",
        "steps": [{"id": "answer", "agent": "coder", "title": "Answer", "instructions": "Answer."}],
    },
    "report_result": {"status": "done", "summary": "Answered.", "report": "Yes."},
    "submit_proposal": {"title": "Answer", "summary": "Answered.", "report": "Yes."},
}


def zero_latency(request: Request) -> Reply:
    """Answer at once with the shortest valid message of the kind that is asked for."""
    name = next(name for name in request.tools if name in SHORTEST)
    return Reply(calls=[Call(name, SHORTEST[name])])


@dataclass
class Times:
    """Milliseconds of each task, from when its POST was due."""

    answered: list[float] = field(default_factory=list)
    first_event: list[float] = field(default_factory=list)
    router_started: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)  # the same wire without the work

    async def take(self, client: aiohttp.ClientSession, url: str, number: int, due: float) -> None:
        """Submit one task, watch it to its first word, then measure the bare wire."""
        body = {"project": "billing-demo", "request": f"Is the service healthy? ({number})"}
        async with client.post(f"{url}/api/v1/tasks", json=body) as answer:
            assert answer.status == 202, await answer.text()
            task = await answer.json()
        self.answered.append(_since(due))
        seen = await _watch(client, url, task["id"], due, until="delta")
        self.first_event.append(seen["task.submitted"])
        self.router_started.append(seen["step.started"])
        self.first_token.append(seen["delta"])
        began = time.perf_counter()
        async with client.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        seen = await _watch(client, url, task["id"], began, until="task.submitted")
        self.bare.append(seen["task.submitted"])


async def steadily(seconds: float, rate: int, act: Any) -> None:
    """Call `act(number, due)` so many times a second, whatever the calls before it do."""
    began, acts = time.perf_counter(), []
    for number in range(round(seconds * rate)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        acts.append(asyncio.create_task(act(number, due)))
    await asyncio.gather(*acts)


async def measure(stack: Stack, seconds: float) -> Times:
    """Submit tasks as a requester; every one of them runs to its proposal."""
    times = Times()
    async with _client(stack) as client:
        await steadily(seconds, RATE, lambda *one: times.take(client, stack.url, *one))
    return times


async def wait_for_the_model(stack: Stack, url: str, seconds: float) -> list[float]:
    """Ask the synchronous view at the same rate; nothing is heard before all was said."""
    took: list[float] = []

    async def ask(number: int, due: float) -> None:
        body = {"project": "billing-demo", "request": f"Is it healthy? ({number})"}
        async with client.post(f"{url}/waiting", json=body) as answer:
            assert answer.status == 202, await answer.text()
            took.append(_since(due))

    async with _client(stack) as client:
        await steadily(seconds, RATE, ask)
    return took


def _client(stack: Stack) -> aiohttp.ClientSession:
    token = stack.accounts["requester"]["token"]
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {token}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=120),
    )


def textbook(stack: Stack, base_url: str, seconds: float) -> list[float]:
    """Serve the synchronous view beside the installation, on its database, and measure it."""
    module, port = web_server("tests.bench._textbook:application")
    env = {**os.environ, **{name: str(value) for name, value in stack.reach.items()}}
    env |= {"PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}", "OPENAI_BASE_URL": base_url}
    env["TEXTBOOK_CALLS"] = str(CALLS)
    env["COUNTERSIGN_DATA_DIR"] = str(stack.data_dir)
    server = subprocess.Popen([sys.executable, "-m", *module], env=env, cwd=ROOT)
    try:
        stack.wait_until(lambda: answers(port), 60, "serve the textbook's view")
        return asyncio.run(wait_for_the_model(stack, f"http://127.0.0.1:{port}", seconds))
    finally:
        server.kill()
        server.wait()


async def _watch(
    client: aiohttp.ClientSession, url: str, task: str, began: float, until: str
) -> dict[str, float]:
    seen: dict[str, float] = {}
    async with client.ws_connect(f"{url}/ws/tasks/{task}?after=0") as socket:
        async for message in socket:
            kind = json.loads(message.data)["kind"]
            seen.setdefault(kind, _since(began))
            if kind == until:
                break
    return seen


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def memory_of(pid: int) -> float:
    """Return the proportional set size of a process and its children, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    own = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return own / 1024 + sum(memory_of(int(child)) for child in children)


def report_memory(report: Report, stack: Stack) -> None:
    """Add the memory of each process, the supervisor's children not counted twice."""
    pids = dict(stack.pids)
    supervisor = pids.pop("supervisor")
    each = {name: memory_of(pid) for name, pid in pids.items()}
    adopted = {
        int(c) for c in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    }
    each["supervisor"] = memory_of(supervisor) - sum(
        each[name] for name, pid in pids.items() if pid in adopted
    )
    for name, megabytes in sorted(each.items()):
        report.add(f"memory_{name}", megabytes, "MB", note="PSS, idle, children included")
    report.add("memory_in_all", sum(each.values()), "MB", goal=("<=", GOAL_MB))


def report_times(report: Report, times: Times, before: list[float]) -> None:
    """Add the percentiles; the limit is the bare wire, the article's promise stands beside."""
    named = {
        "submit_to_202": (times.answered, None),
        "submit_to_first_event": (times.first_event, GOAL_EVENT_MS),
        "submit_to_router_started": (times.router_started, None),
        "submit_to_first_token": (times.first_token, ARTICLE_MS),
    }
    for share in (0.5, 0.99):
        bare = percentile(times.bare, share)
        report.add(
            f"bare_wire_p{share * 100:g}", bare, "ms", note="GET /healthz, then WebSocket replay"
        )
        for name, (values, most) in named.items():
            goal = ("<=", most) if most and share == 0.99 else None
            limit = bare + FIRST_TOKEN * 1000 if name.endswith("token") else bare
            value = percentile(values, share)
            report.add(f"{name}_p{share * 100:g}", value, "ms", limit=limit, goal=goal)
        told = f"before: a synchronous view, {CALLS} answers in a row, heard at its end"
        report.add(f"textbook_p{share * 100:g}", percentile(before, share), "ms", note=told)
    report.add("article_first_token", ARTICLE_MS, "ms", note="the founding article's promise")
    report.add(
        "submits", RATE, "/s", note=f"{len(times.answered)} tasks, each runs to its proposal"
    )


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    seconds = 6.0 if chosen.quick else 30.0
    report = Report("first_event")
    with StubServer() as model:
        model.speak(FIRST_TOKEN, REST)
        env = {
            "COUNTERSIGN_MODEL": "openai:stub",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "not-a-key",
        }
        with Stack(env=env) as stack:
            time.sleep(5)  # idle means that what start-up still does is over
            report_memory(report, stack)
            asyncio.run(measure(stack, 2.0))  # statements are prepared, caches are warm
            times = asyncio.run(measure(stack, seconds))
            before = textbook(stack, model.base_url, seconds / 2)
    report_times(report, times, before)
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
