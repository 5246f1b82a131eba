"""How many steps one worker process holds in flight, and what each of them costs.

`python -m tests.bench.inflight [--json] [--quick]`
"""

from __future__ import annotations

import json
import math
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.bench._figures import Report, options
from tests.bench._inflight_flight import CAPACITY, RECOVERY_LEASE, Airport, Flight, prefork, raw
from tests.bench._inflight_house import House, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench._inflight_flight import Recovery

CHUNKS = 20
SHOWN = 8  # rows of each profile


def report_flight(report: Report, flight: Flight, limit: dict[str, float], *, goals: bool) -> None:
    """Add the figures of one flight; the limit is aiohttp reading the same streams."""
    name, ideal = f"steps_{flight.steps}", flight.ideal
    wall = ("<=", 1.5 * ideal) if goals else None
    note = "limit: the ideal" if goals else needed(flight)
    report.add(f"{name}_wall", flight.wall, "s", goal=wall, limit=ideal, note=note)
    report.add(f"{name}_in_flight", flight.most, "streams", note="at once")
    memory = ("<=", 200.0) if goals else None
    report.add(f"{name}_memory", flight.memory / 1000, "kB", goal=memory, note="PSS per step")
    connections = ("<=", 4.0) if goals else None
    report.add(f"{name}_connections", flight.connections, "", goal=connections, note="at most")
    cpu = flight.cpu / flight.steps * 1000
    report.add(f"{name}_cpu", cpu, "ms", limit=limit["cpu"] / flight.steps * 1000, note="per step")
    chunk, least = cpu / CHUNKS, limit["cpu"] / flight.steps * 1000 / CHUNKS
    report.add(f"{name}_cpu_per_chunk", chunk, "ms", limit=least, note="all of a step over its 20")
    report.add(
        f"{name}_server_cpu",
        flight.server_cpu / flight.steps * 1000,
        "ms",
        note="per step, PostgreSQL and Redis",
    )
    stop = ("<=", 2.0) if goals else None
    slowest = max(flight.stops, default=0.0)
    report.add(f"{name}_stop", slowest, "s", goal=stop, note="from the stop to its stream's end")
    undone = flight.steps - flight.states.get("done", 0)
    report.add(f"{name}_not_done", undone, "", goal=("==", 0.0), note=str(flight.states))


def needed(flight: Flight) -> str:
    """Say how many worker processes would carry a flight within one and a half of its ideal.

    What a process has to do between two chunks is done on one core: it is late by what its time of
    waiting does not hold.
    """
    late = flight.wall - flight.ideal
    workers = math.ceil(late / (0.5 * flight.ideal))
    busy = flight.cpu / flight.wall * 100
    return f"one process, {busy:.0f} % of a core; within 1.5 of the ideal it would take {workers}"


def report_recovery(report: Report, recovery: Recovery) -> None:
    """Add what became of the steps of a killed worker."""
    name = f"recovery_{recovery.steps}"
    most = RECOVERY_LEASE + 3.0
    note = f"kill -9 to all claimed again, lease {RECOVERY_LEASE} s"
    report.add(f"{name}_reclaimed", recovery.taken, "s", goal=("<=", most), note=note)
    repeated = recovery.repeated
    report.add(f"{name}_turns_repeated", repeated, "", goal=("==", 0.0), note="finished ones")
    report.add(f"{name}_turns_cut", recovery.cut, "", note="paid twice: they were not finished")
    again = recovery.tool_calls - recovery.steps
    report.add(f"{name}_tool_calls_repeated", again, "", goal=("==", 0.0))
    undone = recovery.steps - recovery.states.get("done", 0)
    report.add(f"{name}_not_done", undone, "", goal=("==", 0.0))


def report_profile(report: Report, books: dict[str, list[Any]], steps: int) -> None:
    """Add where the CPU time of a profiled flight went, in ms per step."""
    for kind in ("thread", "library", "ours"):
        for name, seconds in books[kind][:SHOWN]:
            report.add(f"cpu_by_{kind}.{name}", seconds / steps * 1000, "ms", note="per step")


def profiled(airport: Airport, stub: Any, count: int, ideal: float) -> dict[str, list[Any]]:
    """Fly once more in a worker that keeps books of its CPU time."""
    path: Path = airport.house.folder / "profile.json"
    env = {"COUNTERSIGN_PROFILE_TO": str(path), "COUNTERSIGN_STEPS_IN_FLIGHT": CAPACITY}
    module = "tests.bench._inflight_profile"
    worker = airport.house.worker(stub, module=module, **env)
    airport.warm(worker)
    worker.process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    airport.fly(stub, worker, count, ideal=ideal)
    worker.process.send_signal(signal.SIGUSR2)
    until(path.exists, 20)
    worker.end()
    books: dict[str, list[Any]] = json.loads(path.read_text())
    return books


def flight(report: Report, airport: Airport, count: int, ideal: float, *, goals: bool) -> None:
    """Measure the limit, then the flight."""
    stub = airport.house.stub(seconds=ideal)
    limit = raw(stub, count)
    report.add(f"raw_{count}_wall", limit["wall"], "s", limit=ideal, note="aiohttp alone")
    report.add(f"raw_{count}_cpu", limit["cpu"] / count * 1000, "ms", note="per step")
    stub.end()
    stub = airport.house.stub(seconds=ideal)
    worker = airport.house.worker(stub, COUNTERSIGN_STEPS_IN_FLIGHT=CAPACITY)
    airport.warm(worker)
    report_flight(report, airport.fly(stub, worker, count, ideal=ideal), limit, goals=goals)
    worker.end()
    stub.end()


def report_before(report: Report, airport: Airport, count: int, ideal: float, most: int) -> None:
    """Add the plain Celery way."""
    stub = airport.house.stub(seconds=ideal)
    took = prefork(airport.house, stub, count, most)
    stub.end()
    rounds = -(-count // most)
    note = f"{most} processes, each waits in its task"
    report.add(f"prefork_{count}_wall", took["wall"], "s", limit=ideal, note=note)
    report.add(f"prefork_{count}_ideal_of_its_kind", rounds * ideal, "s")
    report.add(f"prefork_{count}_memory", took["memory"] / 1000, "kB", note="PSS per step")


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    report = Report("inflight")
    ideal = 5.0 if chosen.quick else 15.0
    with House() as house:
        airport = Airport(house)
        flight(report, airport, 150 if chosen.quick else 1000, ideal, goals=True)
        stub = house.stub(seconds=ideal)
        steps = 50 if chosen.quick else 1000
        report_profile(report, profiled(airport, stub, steps, ideal), steps)
        stub.end()
        # Longer than the second worker takes to start: the first must be in its turns when killed.
        stub = house.stub(seconds=20.0, turns=2)
        report_recovery(report, airport.recover(stub, 40 if chosen.quick else 500))
        stub.end()
        if not chosen.quick:
            flight(report, airport, 3000, ideal, goals=False)
        count, most = (16, 8) if chosen.quick else (300, 30)
        report_before(report, airport, count, 1.0 if chosen.quick else ideal, most)
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
