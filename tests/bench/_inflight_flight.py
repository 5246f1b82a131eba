"""One flight: steps are made due, a real worker carries them, and the kernel is asked what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.bench._inflight_house import NAME, ROOT, until

if TYPE_CHECKING:
    import uuid

    from projects.models import Project, User
    from tests.bench._inflight_house import House, Program, Stub

CAPACITY = "4000"
STOPS = 5
RECOVERY_LEASE = 6


@dataclass
class Flight:
    """What one flight took."""

    steps: int
    ideal: float
    wall: float = 0.0  # seconds from the bell to the last step settled, by the database's clock
    cpu: float = 0.0  # seconds of the worker
    server_cpu: float = 0.0  # of PostgreSQL and Redis
    memory: float = 0.0  # bytes per step in flight
    most: int = 0  # streams open at once
    connections: int = 0
    stops: list[float] = field(default_factory=list)  # seconds from the stop to its stream's end
    states: dict[str, int] = field(default_factory=dict)


class Airport:
    """The house with its project, from which flights leave one after the other."""

    def __init__(self, house: House) -> None:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
        django.setup()
        from tests.bench import _inflight_rows

        self.rows = _inflight_rows
        self.house = house
        self.project: Project
        self.user: User
        self.project, self.user = self.rows.furnish(house.folder)
        self._next = 0

    def steps(self, count: int) -> list[uuid.UUID]:
        """Prepare steps that are not due yet."""
        first, self._next = self._next, self._next + count
        return self.rows.prepare(self.project, self.user, count, first=first)

    def warm(self, worker: Program) -> None:
        """Let the worker carry a few steps, so that what it loads once is loaded."""
        made = self.steps(8)
        self.rows.ring(made)
        until(lambda: not _open(made), 60)
        time.sleep(0.5)

    def fly(self, stub: Stub, worker: Program, count: int, *, ideal: float) -> Flight:
        """Carry so many steps, stopping a few more under way."""
        made, doomed = self.steps(count), self.steps(STOPS)
        numbers = range(self._next - STOPS, self._next)
        flight = Flight(steps=count, ideal=ideal)
        idle, cpu, server = worker.memory(), worker.cpu(), self.house.server_cpu()
        began, rung = time.monotonic(), _now()
        self.rows.ring([*made, *doomed])
        peak, looked = idle, 0.0
        while left := _open(made):
            time.sleep(0.2)
            flight.connections = max(flight.connections, _connections())
            if time.monotonic() - looked > 1.0:
                peak, looked = max(peak, worker.memory()), time.monotonic()
            if doomed and time.monotonic() - began > ideal * 0.7:
                self._stop(stub, doomed.pop(), numbers[len(doomed)], flight)
            if time.monotonic() - began > ideal * 10 + 60:
                raise TimeoutError(f"{left} steps are not settled; see {self.house.folder}")
        flight.wall = _last(made) - rung
        flight.cpu = worker.cpu() - cpu
        flight.server_cpu = self.house.server_cpu() - server
        flight.most = stub.counts()["most"]
        flight.memory = (peak - idle) / flight.most
        flight.states = _states(made)
        return flight

    def _stop(self, stub: Stub, step: uuid.UUID, number: int, flight: Flight) -> None:
        from agents import stopping
        from agents.models import Step

        until(lambda: f"{number}/0" in stub.counts()["asked"], 300)
        task = Step.objects.select_related("task__project").get(pk=step).task
        stopping.stop(task, by=self.user, reason="Enough")
        stopped = time.monotonic()
        until(lambda: str(number) in stub.counts()["closed_at"], 60)
        flight.stops.append(stub.counts()["closed_at"][str(number)] - stopped)

    def recover(self, stub: Stub, count: int) -> Recovery:
        """Kill a worker in the second turn of all its steps; another takes them over."""
        lease = {"COUNTERSIGN_LEASE_SECONDS": str(RECOVERY_LEASE)}
        lease |= {"COUNTERSIGN_HEARTBEAT_SECONDS": "2", "COUNTERSIGN_STEPS_IN_FLIGHT": CAPACITY}
        first = self.house.worker(stub, **lease)
        made = self.steps(count)
        self.rows.ring(made)
        until(lambda: stub.counts()["open"] >= count and _turns(made) == count, 60)
        second = self.house.worker(stub, **lease)
        first.end(signal.SIGKILL)
        killed = time.monotonic()
        until(lambda: _claimed_again(made) == count, 120)
        taken = time.monotonic() - killed
        until(lambda: not _open(made), 120)
        asked, finished = stub.counts()["asked"], stub.counts()["finished"]
        second.end()
        first_turns = [times for name, times in finished.items() if name.endswith("/0")]
        return Recovery(
            steps=count,
            taken=taken,
            repeated=sum(times > 1 for times in first_turns),
            cut=sum(times > 1 for name, times in asked.items() if name.endswith("/1")),
            tool_calls=_tool_calls(made),
            states=_states(made),
        )


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What became of the steps of a killed worker."""

    steps: int
    taken: float  # seconds from the kill until all were claimed again
    repeated: int  # finished turns that were asked for once more
    cut: int  # turns that were cut off and asked for again: at most one a step
    tool_calls: int
    states: dict[str, int]


def raw(stub: Stub, steps: int) -> dict[str, float]:
    """Read as many streams with aiohttp and nothing else."""
    import json

    module = ["-m", "tests.bench._inflight_raw", "--url", stub.base_url, "--steps", str(steps)]
    done = subprocess.run(
        [sys.executable, *module], cwd=ROOT, check=True, capture_output=True, timeout=300
    )
    took: dict[str, float] = json.loads(done.stdout)
    return took


def prefork(house: House, stub: Stub, steps: int, processes: int) -> dict[str, float]:
    """Carry steps in Celery tasks that wait for their model."""
    module = "celery -A tests.bench._inflight_prefork worker -P prefork --without-gossip"
    flags = ["--without-mingle", "-c", str(processes), "-Q", "before", "-l", "warning"]
    worker = house.start([*module.split(), *flags], {"OPENAI_BASE_URL": stub.base_url})
    from tests.bench._inflight_prefork import step

    before = sum(stub.counts()["finished"].values())
    step.delay(-1)
    until(lambda: sum(stub.counts()["finished"].values()) > before, 120)
    cpu, began = worker.cpu(), time.monotonic()
    for number in range(steps):
        step.delay(number)
    until(lambda: stub.counts()["open"] >= min(steps, processes), 60)
    memory = worker.memory()
    until(lambda: sum(stub.counts()["finished"].values()) > before + steps, 600, every=0.2)
    wall = time.monotonic() - began
    worker.end()
    return {"wall": wall, "memory": memory / min(steps, processes), "cpu": cpu}


def _now() -> float:
    return float(_one("SELECT extract(epoch FROM clock_timestamp())", []))


def _last(steps: list[uuid.UUID]) -> float:
    return float(
        _one(
            "SELECT extract(epoch FROM max(finished_at)) FROM agents_step WHERE id = ANY(%s)",
            [steps],
        )
    )


def _open(steps: list[uuid.UUID]) -> int:
    statement = "SELECT count(*) FROM agents_step WHERE id = ANY(%s) AND finished_at IS NULL"
    return int(_one(statement, [steps]))


def _connections() -> int:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    return int(_one(statement, [NAME]))


def _claimed_again(steps: list[uuid.UUID]) -> int:
    return int(_one("SELECT count(*) FROM agents_step WHERE id = ANY(%s) AND attempt > 1", [steps]))


def _turns(steps: list[uuid.UUID]) -> int:
    statement = "SELECT count(*) FROM agents_attempt WHERE step_id = ANY(%s) AND turns > 0"
    return int(_one(statement, [steps]))


def _tool_calls(steps: list[uuid.UUID]) -> int:
    statement = (
        "SELECT count(*) FROM agents_toolcall call JOIN agents_attempt attempt "
        "ON attempt.id = call.attempt_id WHERE attempt.step_id = ANY(%s)"
    )
    return int(_one(statement, [steps]))


def _states(steps: list[uuid.UUID]) -> dict[str, int]:
    from django.db.models import Count

    from agents.models import Step

    found = Step.objects.filter(pk__in=steps).values_list("state").order_by("state")
    return dict(found.annotate(Count("pk")))


def _one(statement: str, arguments: list[Any]) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchone()[0]
