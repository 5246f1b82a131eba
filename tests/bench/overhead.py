"""What the platform adds to the models' time: a whole task with a model that answers at once.

`python -m tests.bench.overhead [--json] [--quick]`
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench._figures import Report, options, percentile
from tests.bench._pipeline import PARTS, Installation
from tests.bench._stub import StubServer

if TYPE_CHECKING:
    from collections.abc import Sequence

# What others did on a machine of two cores with a bare graph of seven steps: no tools, no ledger,
# no guard, no sealing. Measured there, not here.
OTHERS = {
    "restate": (140.0, 22.0),
    "langgraph_on_postgres": (34.0, 33.0),
    "dbos": (14.0, 58.0),
    "celery_chord": (46.0, 34.0),  # loses work
}
SEALED = "approval.requested"
MODEL_SECONDS = 5.0
IN_A_ROW = 3  # model calls a report task makes one after the other


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is run."""

    alone: int
    saturated: int
    merges_alone: int
    merges_saturated: int
    at_once: int
    waiting: int
    idle_seconds: float


FULL = Size(
    alone=40,
    saturated=600,
    merges_alone=40,
    merges_saturated=120,
    at_once=300,
    waiting=1_000,
    idle_seconds=20,
)
QUICK = Size(
    alone=10,
    saturated=100,
    merges_alone=8,
    merges_saturated=20,
    at_once=0,
    waiting=100,
    idle_seconds=5,
)


@dataclass
class Run:
    """One batch of tasks and what it cost."""

    tasks: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    transactions: float = 0.0

    def each(self, part: str) -> float:
        """Return the CPU milliseconds per task of one part."""
        return self.cpu[part] * 1000 / len(self.tasks)


class Meter:
    """Reads what an installation used between two moments."""

    def __init__(self, made: Installation) -> None:
        self._made = made
        self._cpu, self._rows = made.cpu(), made.statistics()
        self._began = time.perf_counter()

    def read(self, run: Run) -> Run:
        """Write it into a run."""
        run.seconds = time.perf_counter() - self._began
        now, rows = self._made.cpu(), self._made.statistics()
        run.cpu = {part: now[part] - self._cpu[part] for part in PARTS}
        done = rows["transactions"] - self._rows["transactions"]
        run.transactions = done / max(1, len(run.tasks))
        return run


def alone(made: Installation, count: int, *, change: bool, approve: bool = False) -> Run:
    """Run tasks one after the other, from submission to a sealed proposal."""
    run, meter = Run(), Meter(made)
    for _ in range(count):
        began = time.perf_counter()
        task = made.submit(change=change)
        made.wait([task], SEALED, 60)
        run.milliseconds.append((made.heard(task, SEALED) - began) * 1000)
        run.tasks.append(task)
        if approve:
            made.approve(task)
            made.wait([task], "task.finished", 60)
    return meter.read(run)


def saturated(made: Installation, count: int, *, change: bool) -> Run:
    """Hand in all tasks as fast as may be; their submission is part of the time."""
    run, meter = Run(), Meter(made)
    run.tasks = made.submit_many(count, change=change)
    made.wait(run.tasks, SEALED, 600)
    return meter.read(run)


def decisions(made: Installation, tasks: Sequence[str], *, approve: bool) -> list[float]:
    """Return the milliseconds from each signature to its effect's end being announced."""
    began = {task: made.approve(task) for task in tasks} if approve else made.signed
    made.wait(tasks, "task.finished", 60)
    return [(made.heard(task, "task.finished") - began[task]) * 1000 for task in tasks]


def report_pipeline(report: Report, made: Installation, size: Size) -> tuple[list[str], Run]:
    """Measure report and merge tasks, alone and saturated.

    Return the reports that wait for a person, and the run in which reports saturated it.
    """
    waiting: list[str] = []
    reports = Run()
    plan = (
        ("report", False, size.alone, size.saturated, 30.0, 120.0),
        ("merge", True, size.merges_alone, size.merges_saturated, 6.0, 600.0),
    )
    for name, change, one_by_one, together, rate, longest in plan:
        single = alone(made, one_by_one, change=change, approve=change)
        p50 = percentile(single.milliseconds, 0.5)
        report.add(f"{name}_alone_p50", p50, "ms", goal=("<=", longest))
        report.add(f"{name}_alone_p99", percentile(single.milliseconds, 0.99), "ms")
        report_spans(report, made, name, single)
        if change:
            landed = decisions(made, single.tasks, approve=False)
            report_decisions(report, "merge", landed)
        run = saturated(made, together, change=change)
        report.add(f"{name}_saturated", len(run.tasks) / run.seconds, "tasks/s", goal=(">=", rate))
        report_cpu(report, name, run)
        if not change:
            reports = run
            waiting += single.tasks + run.tasks
    return waiting, reports


def report_spans(report: Report, made: Installation, name: str, run: Run) -> None:
    """Add where the time of a task alone goes, each span beginning where the last ended."""
    for span, values in made.spans(run.tasks).items():
        figure = f"{name}_span_{span.replace(' ', '_')}"
        report.add(figure, statistics.median(values), "ms", note="p50, from the milestone before")


def report_cpu(report: Report, name: str, run: Run) -> None:
    """Add CPU per task by process, and transactions."""
    for part in PARTS:
        report.add(f"{name}_cpu_{part}", run.each(part), "ms/task")
    platform = sum(run.each(part) for part in PARTS if part not in {"stub", "bench"})
    report.add(f"{name}_cpu_platform", platform, "ms/task", note="without the stub and the bench")
    report.add(f"{name}_transactions", run.transactions, "per task")


def report_decisions(report: Report, name: str, values: list[float]) -> None:
    """Add the time from a signature to the carried out effect."""
    report.add(f"{name}_decision_to_effect_p50", percentile(values, 0.5), "ms")
    report.add(
        f"{name}_decision_to_effect_p99",
        percentile(values, 0.99),
        "ms",
        goal=("<=", 300.0),
        note=f"of {len(values)}; others took 12 to 24 ms without git",
    )


def report_at_once(report: Report, made: Installation, count: int) -> list[str]:
    """Measure many tasks at once with a model that takes its time."""
    made.stub.delay(MODEL_SECONDS)
    run = saturated(made, count, change=False)
    made.stub.delay(0)
    ideal = IN_A_ROW * MODEL_SECONDS
    report.add(
        "at_once_wall",
        run.seconds,
        "s",
        limit=ideal,
        goal=("<=", 20.0),
        note=f"{count} tasks, {MODEL_SECONDS:g} s a model call",
    )
    return run.tasks


def report_waiting(report: Report, made: Installation, waiting: list[str], size: Size) -> None:
    """Measure what tasks cost that wait for a person, against the same installation before."""
    from agents.models import Step, Task

    if (missing := size.waiting - len(waiting)) > 0:
        waiting += saturated(made, missing, change=False).tasks
    time.sleep(2)
    meter = Meter(made)
    time.sleep(size.idle_seconds)
    run = meter.read(Run())
    ours = sum(run.cpu[part] for part in ("agents", "effects", "postgres", "redis"))
    count = Task.objects.filter(pk__in=waiting, state="review").count()
    report.add("waiting_tasks", count, "tasks", goal=(">=", size.waiting))
    slots = Step.objects.filter(task__in=waiting, state="leased").count()
    report.add("waiting_worker_slots", slots, "slots", goal=("==", 0))
    report.add("waiting_cpu", ours / run.seconds * 100, "% of one core")
    report.add("waiting_cpu_before", made.idle_percent, "% of one core", note="no task at all")
    added = made.statistics()["connections"] - made.idle_connections
    report.add("waiting_connections_added", max(0, added), "connections", goal=("==", 0))


def report_others(report: Report, ours: Run) -> None:
    """Add what others did, and what lies between us and the fastest."""
    fastest = OTHERS["restate"][0]
    note = (
        f"of our CPU a task: {ours.each('agents'):.0f} ms agents (the model library and the rows of "
        f"5 turns, {ours.transactions:.0f} transactions), {ours.each('postgres'):.0f} ms PostgreSQL, "
        f"{ours.each('effects'):.0f} ms sealing; Restate appends 7 steps to a log in "
        f"{2000 / fastest:.0f} ms"
    )
    report.add("restate_is_faster_by", fastest * ours.seconds / len(ours.tasks), "times", note=note)
    for name, (rate, single) in OTHERS.items():
        note = "reference, not measured here: a bare seven-step graph"
        report.add(f"reference_{name}_saturated", rate, "tasks/s", note=note)
        report.add(f"reference_{name}_alone", single, "ms", note=note)


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    size = QUICK if chosen.quick else FULL
    report = Report("overhead")
    with StubServer() as stub, Installation(stub) as made:
        made.settle_down()
        alone(made, 3, change=False)  # imports, plans and connections are made once
        alone(made, 1, change=True, approve=True)
        saturated(made, 20, change=False)  # the pool of connections is full only under load
        made.idle_connections = made.statistics()["connections"]
        waiting, reports = report_pipeline(report, made, size)
        if size.at_once:
            waiting += report_at_once(report, made, size.at_once)
        report_waiting(report, made, waiting, size)
        sample = waiting[: min(100, len(waiting) // 2)]
        values = [decisions(made, [task], approve=True)[0] for task in sample]
        report_decisions(report, "report", values)
    report_others(report, reports)
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
