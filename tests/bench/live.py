"""How many watch one server process live, what each costs, and how soon they see an event.

`python -m tests.bench.live [--json] [--quick]`
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.bench._figures import Report, options, percentile
from tests.bench._inflight_house import ROOT, Program
from tests.bench._watchers import Orders
from tests.bench._web import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "countersign.asgi:application"
EVENTS = 10  # of each task before anybody watches
RATE = 500  # events a second


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How many of everything."""

    idle: int
    sockets: int
    hot: int
    seconds: float


WHOLE = Scale(idle=10_000, sockets=5_000, hot=1_000, seconds=10)
QUICK = Scale(idle=2_000, sockets=1_000, hot=500, seconds=4)


class Crowd:
    """Clients in a process of their own."""

    def __init__(self, orders: Orders) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench._watchers"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._orders = orders

    def begin(self) -> None:
        """Let them connect."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asdict(self._orders)) + "\n")
        self.process.stdin.flush()

    def ready(self) -> float:
        """Wait for all of them; return the seconds the last one took."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the clients were not ready in time")
        return float(json.loads(line)["ready"])

    def report(self) -> dict[str, Any]:
        """End them; return who saw which seq when."""
        out, _ = self.process.communicate()
        found: dict[str, Any] = json.loads(out)
        return found


@contextlib.contextmanager
def crowd(orders: Orders) -> Iterator[Crowd]:
    """Clients that are there until the block ends."""
    made = Crowd(orders)
    try:
        made.begin()
        yield made
    finally:
        made.process.kill()
        made.process.wait()


@dataclass(frozen=True)
class Delivered:
    """What clients got of the events written: milliseconds from commit to client, each once."""

    delays: list[float]
    repeated: int

    def report(self, report: Report, name: str, *, wanted: int, note: str) -> None:
        """Say what is missing and what came more than once."""
        missing = wanted - len(self.delays)
        report.add(f"{name}_missing", missing, "", goal=("==", 0.0), note=note)
        report.add(f"{name}_repeated", self.repeated, "", goal=("==", 0.0))


class Log:
    """Events of the bench: written as the workers write them, announced as they announce them."""

    def __init__(self, tasks: list[Any]) -> None:
        self.tasks = tasks
        self.committed: dict[tuple[str, int], float] = {}

    def write(self, tasks: list[Any]) -> None:
        """Write one event for each task, and note when they were committed."""
        from agents.models import Event
        from agents.recording import record_all

        events = [Event(task=task, kind="message", data={"text": "So it goes."}) for task in tasks]
        record_all(events)
        now = time.time()
        self.committed |= {(str(event.task_id), event.seq): now for event in events}

    def steadily(self, seconds: float, rate: int = RATE) -> None:
        """Write so many events a second, of one task after the other, 10 in a transaction."""
        began, number = time.perf_counter(), 0
        while number < seconds * rate:
            begin = (number * 7) % (len(self.tasks) - 10)
            self.write(self.tasks[begin : begin + 10])
            number += 10
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))

    def delivered(self, found: dict[str, Any]) -> Delivered:
        """Return how soon each client got each event, what came twice not taken for two."""
        delays: dict[tuple[int, str, int], float] = {}
        frames = 0
        for client, (task, seen) in enumerate(found["seen"]):
            for seq, came in seen:
                if (task, seq) in self.committed:
                    frames += 1
                    late = (came - self.committed[task, seq]) * 1000
                    delays.setdefault((client, task, seq), late)
        return Delivered(list(delays.values()), repeated=frames - len(delays))


def make_tasks(site: Site, count: int) -> list[Any]:
    """Make tasks with a few events each."""
    from django.db import connection

    from agents import intake, requests
    from agents.models import Task
    from projects.models import Project, User

    sender = requests.sender_of(
        User.objects.get(pk=site.requester.pk), Project.objects.get(pk=site.project)
    )
    ids = []
    for _ in range(0, count, 500):
        asked = [requests.ask(sender, request="Watch this.") for _ in range(500)]
        ids += [outcome.id for outcome in intake.submit_all(asked)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO agents_event (task_id, seq, kind, data) "
            "SELECT id, seq, 'message', '{\"text\": \"Once upon a time.\"}' "
            "FROM agents_task, generate_series(2, %s) seq",
            [EVENTS],
        )
        cursor.execute("UPDATE agents_task SET last_seq = %s", [EVENTS])
        cursor.execute("ANALYZE")
    return list(Task.objects.filter(pk__in=ids[:count]).order_by("pk"))


def idle(report: Report, server: Program, orders: Orders, name: str, goal: float) -> None:
    """Hold many streams open: their memory, and what they cost while nothing happens."""
    with crowd(replace(orders, tasks=orders.tasks[:10])) as clients:
        clients.ready()  # threads and connections that are made once are not theirs
    before = server.memory()
    with crowd(orders) as clients:
        took = clients.ready()
        count = len(orders.tasks)
        report.add(f"{name}_ready", took, "s", note=f"{count:,} connected, 10 events each replayed")
        each = (server.memory() - before) / count / 1000
        report.add(f"{name}_memory", each, "kB", goal=("<=", goal), note="PSS per watcher")
        time.sleep(2)
        cpu = server.cpu()
        time.sleep(15)
        used = (server.cpu() - cpu) / 15 * 100
        wanted = ("<", 3.0) if name == "sse_idle" else None
        report.add(f"{name}_cpu", used, "%", goal=wanted, note="of a core, heartbeats included")


def steady(report: Report, log: Log, orders: Orders, seconds: float) -> None:
    """500 events a second of tasks that each have a watcher."""
    with crowd(orders) as clients:
        clients.ready()
        log.steadily(seconds)
        time.sleep(1)
        found = clients.report()
    delivered, count = log.delivered(found), len(log.committed)
    delivered.report(report, "steady", wanted=count, note=f"of {count:,}")
    for share in (0.5, 0.99):
        goal = ("<=", 15.0) if share == 0.99 else None
        value = percentile(delivered.delays, share)
        report.add(f"steady_p{share * 100:g}", value, "ms", goal=goal, note="commit to client")
    log.committed.clear()


def hot(report: Report, log: Log, orders: Orders, rounds: int = 40) -> None:
    """One task that a thousand people watch."""
    with crowd(orders) as clients:
        clients.ready()
        for _ in range(rounds):
            log.write(log.tasks[:1])
            time.sleep(0.25)
        found = clients.report()
    delivered, count = log.delivered(found), len(orders.tasks)
    delivered.report(report, "hot", wanted=rounds * count, note=f"{count:,} watchers")
    report.add("hot_p50", percentile(delivered.delays, 0.5), "ms")
    report.add("hot_p99", percentile(delivered.delays, 0.99), "ms", goal=("<=", 80.0))
    log.committed.clear()


def reconnect(report: Report, orders: Orders) -> None:
    """Everybody comes at once, from the beginning of the log, as after a restart."""
    with crowd(orders) as clients:
        took = clients.ready()
        note = f"{len(orders.tasks):,} at once, {EVENTS} events each"
        report.add("reconnect", took, "s", goal=("<=", 8.0), note=note)


def burst(report: Report, log: Log, orders: Orders) -> None:
    """A thousand events at once for somebody who reads slowly."""
    with crowd(orders) as clients:
        clients.ready()
        for _ in range(100):
            log.write(log.tasks[:1] * 10)
        time.sleep(4)
        found = clients.report()
    ((_, seen),) = found["seen"]
    seqs = [seq for seq, _ in seen]
    last = max(seq for _, seq in log.committed)
    right = seqs == list(range(1, last + 1)) and len(log.committed) == 1_000
    report.add("burst_in_order", float(right), "", goal=("==", 1.0), note=f"{len(seqs)} frames")
    log.committed.clear()


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    scale = QUICK if chosen.quick else WHOLE
    report = Report("live")
    with Site() as site:
        log = Log(make_tasks(site, scale.idle))
        ids = [str(task.pk) for task in log.tasks]
        for name, kind, count, goal in (
            ("sse_idle", "sse", scale.idle, 20.0),
            ("ws_idle", "ws", scale.sockets, 30.0),
        ):
            server, port = site.serve(OURS)
            orders = Orders(port=port, tasks=ids[:count], kind=kind, token=site.token)
            orders.frames = EVENTS
            idle(report, server, orders, name, goal)
            server.end()
        server, port = site.serve(OURS)
        watching = Orders(port=port, tasks=ids[: scale.sockets], token=site.token, frames=EVENTS)
        reconnect(report, replace(watching, at_once=scale.sockets))
        log.tasks = log.tasks[: scale.sockets]
        steady(report, log, watching, scale.seconds)
        hot(report, log, replace(watching, tasks=ids[:1] * scale.hot))
        slow = replace(watching, tasks=ids[:1], slow=0.01)
        burst(report, log, slow)
        server.end()
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
