"""How soon a watcher sees its task begin, and how much memory an idle installation takes.

`python -m tests.bench.first_event [--json] [--quick]`
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench._figures import Report, options, percentile
from tests.stack import Stack
from tests.stub_model import Call, Reply, Request, StubModel

ARTICLE_MS = 800.0  # the founding article's promise: to the first token
GOAL_MS = 300.0
GOAL_MB = 600.0


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
    """Milliseconds of each task, from the POST on."""

    answered: list[float] = field(default_factory=list)
    first_event: list[float] = field(default_factory=list)
    router_started: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)  # the same wire without the work

    async def take(self, client: aiohttp.ClientSession, url: str, number: int) -> None:
        """Submit one task, watch it to its proposal, then measure the bare wire."""
        began = time.perf_counter()
        body = {"project": "billing-demo", "request": f"Is the service healthy? ({number})"}
        async with client.post(f"{url}/api/v1/tasks", json=body) as answer:
            assert answer.status == 202, await answer.text()
            task = await answer.json()
        self.answered.append(_since(began))
        seen = await _watch(client, url, task["id"], began)
        self.first_event.append(seen["task.submitted"])
        self.router_started.append(seen["step.started"])
        began = time.perf_counter()
        async with client.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        seen = await _watch(client, url, task["id"], began, until="task.submitted")
        self.bare.append(seen["task.submitted"])


async def measure(stack: Stack, tasks: int) -> Times:
    """Submit the tasks one after the other, as a requester."""
    token = stack.accounts["requester"]["token"]
    times = Times()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as client:
        for number in range(tasks):
            await times.take(client, stack.url, number)
    return times


async def _watch(
    client: aiohttp.ClientSession, url: str, task: str, began: float, until: str = "proposal.ready"
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


def report_times(report: Report, times: Times) -> None:
    """Add the percentiles; the limit is the bare wire, the article's promise stands beside."""
    named = {
        "submit_to_202": times.answered,
        "submit_to_first_event": times.first_event,
        "submit_to_router_started": times.router_started,
    }
    for share in (0.5, 0.99):
        bare = percentile(times.bare, share)
        report.add(
            f"bare_wire_p{share * 100:g}", bare, "ms", note="GET /healthz, then WebSocket replay"
        )
        for name, values in named.items():
            goal = ("<=", GOAL_MS) if (name, share) == ("submit_to_first_event", 0.99) else None
            report.add(
                f"{name}_p{share * 100:g}", percentile(values, share), "ms", limit=bare, goal=goal
            )
    report.add("article_first_token", ARTICLE_MS, "ms", note="the founding article's promise")


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    tasks = 40 if chosen.quick else 200
    report = Report("first_event")
    with StubModel(zero_latency) as model:
        env = {
            "COUNTERSIGN_MODEL": "openai:stub",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "not-a-key",
        }
        with Stack(env=env) as stack:
            time.sleep(5)  # idle means that what start-up still does is over
            report_memory(report, stack)
            times = asyncio.run(measure(stack, tasks))
    report_times(report, times)
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
