"""The tables of a chaos run: printed for people, and written as docs/crash-matrix.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from projects.failpoints import POINTS
from tests.chaos.faults import FAULTS
from tests.chaos.matrix import MODES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from rich.console import Console

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "crash-matrix.md"
_HEAD = """# Crash matrix

Written by `make chaos`; do not edit. Real PostgreSQL, Redis, web server, effects worker and two agent
workers (leases of {lease} s) play whole stories against a model server over the wire; the outside
world is real git repositories and a tool server. After every case `verify_invariants` must find
nothing, every request that was answered with 202 must have ended or wait for a person, every merge
that is done must be on main exactly once by git's own log, no tool may have been called twice for one
permission, nor without one or a counted use of a standing grant, and no oftener than that allows; a call
that may have landed must have been asked of a person, who signed what main moved under must not have been
asked again, and what lands carries each signature once; and no finished turn may have been asked of the
model again.

## Every named point, three ways

`kill` is kill -9 of the process there, `raise` an exception, `stall` a pause longer than the lease.

| point | what has just happened | kill | raise | stall |
|---|---|---|---|---|
"""


@dataclass
class Case:
    """One run under one fault."""

    runs: int = 0
    tasks: int = 0
    ended: int = 0
    waiting: int = 0
    violations: int = 0
    slowest: float = 0.0


@dataclass
class Figures:
    """Everything a chaos run found out."""

    seed: int
    points: dict[tuple[str, str], str] = field(default_factory=dict)  # (point, mode): outcome
    faults: dict[str, Case] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, fault: str, outcomes: Counter[str], violations: int, seconds: float) -> None:
        """Add one run."""
        case = self.faults.setdefault(fault, Case())
        waiting = sum(outcomes[state] for state in ("needs_human", "review"))
        case.runs += 1
        case.tasks += sum(outcomes.values())
        case.waiting += waiting
        case.ended += sum(outcomes[state] for state in ("done", "cancelled", "rejected", "failed"))
        case.violations += violations
        case.slowest = max(case.slowest, seconds)


def show(figures: Figures, console: Console) -> None:
    """Print the tables."""
    if figures.points:
        table = Table("point", *MODES, box=None)
        for point in POINTS:
            outcomes = [figures.points.get((point, mode), "-") for mode in MODES]
            if any(outcome != "-" for outcome in outcomes):
                table.add_row(point, *outcomes)
        console.print(table)
    if figures.faults:
        columns = (
            "fault",
            "runs",
            "tasks",
            "ended",
            "wait for a person",
            "violations",
            "slowest s",
        )
        table = Table(*columns, box=None)
        for name, case in figures.faults.items():
            counted = (case.runs, case.tasks, case.ended, case.waiting, case.violations)
            table.add_row(name, *map(str, counted), f"{case.slowest:.0f}")
        console.print(table)
    runs = sum(case.runs for case in figures.faults.values())
    tasks = sum(case.tasks for case in figures.faults.values())
    console.print(
        f"{len(figures.points)} cases at failpoints, {runs} random runs of {tasks} tasks in all, "
        f"{len(figures.violations)} violations, {figures.seconds:.0f} s, seed {figures.seed}."
    )


def write(figures: Figures, lease: int) -> None:
    """Write the document; the same run gives the same layout."""
    lines = [_HEAD.format(lease=lease)]
    for point, what in POINTS.items():
        cells = " | ".join(figures.points.get((point, mode), "not run") for mode in MODES)
        lines.append(f"| `{point}` | {what} | {cells} |\n")
    lines.append("\n## Random faults\n\n")
    lines += _of_faults(figures) if figures.faults else ["Not part of this run.\n"]
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text("".join(lines), encoding="utf-8")


def _of_faults(figures: Figures) -> Iterator[str]:
    yield (
        "Each run hands in its tasks while the fault strikes at a moment the seed decides (this run: "
        f"{figures.seed}).\n\n"
        "| fault | how | runs | tasks | ended | wait for a person | violations |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for fault in FAULTS:
        case = figures.faults.get(fault.name, Case())
        counted = (case.runs, case.tasks, case.ended, case.waiting, case.violations)
        yield f"| {fault.name} | {fault.sentence} | {' | '.join(map(str, counted))} |\n"
