"""The tables of a chaos run: printed for people, and written as docs/crash-matrix.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from projects.failpoints import POINTS
from tests.chaos.faults import FAULTS
from tests.chaos.matrix import MODES

if TYPE_CHECKING:
    from collections import Counter

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

The last column of a row is the run it is from, by day and seed: `make chaos` writes the rows of what it
played and leaves the others, which were judged by what was asked on their day.

## Every named point, three ways

`kill` is kill -9 of the process there, `raise` an exception, `stall` a pause longer than the lease.

| point | what has just happened | kill | raise | stall | run |
|---|---|---|---|---|---|
"""
_FAULTS = """
## Random faults

Each run hands in its tasks while the fault strikes at a moment the seed decides.

| fault | how | runs | tasks | ended | wait for a person | violations | run |
|---|---|---|---|---|---|---|---|
"""
NOT_RUN = "not run"
_NO_RUNS = [*["0"] * 5, ""]


@dataclass
class Case:
    """One run under one fault."""

    runs: int = 0
    tasks: int = 0
    ended: int = 0
    waiting: int = 0
    violations: int = 0
    slowest: float = 0.0

    @property
    def counted(self) -> tuple[int, ...]:
        """What the tables show of it."""
        return self.runs, self.tasks, self.ended, self.waiting, self.violations


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
            table.add_row(name, *map(str, case.counted), f"{case.slowest:.0f}")
        console.print(table)
    runs = sum(case.runs for case in figures.faults.values())
    tasks = sum(case.tasks for case in figures.faults.values())
    console.print(
        f"{len(figures.points)} cases at failpoints, {runs} random runs of {tasks} tasks in all, "
        f"{len(figures.violations)} violations, {figures.seconds:.0f} s, seed {figures.seed}."
    )


def write(figures: Figures, lease: int) -> None:
    """Write what a run found into the document; rows it has nothing of stay as an earlier run left them."""
    kept, run = _kept(), f"{datetime.now(UTC):%Y-%m-%d}, {figures.seed}"
    lines = [_HEAD.format(lease=lease)]
    for point, what in POINTS.items():
        cells = [figures.points.get((point, mode), NOT_RUN) for mode in MODES]
        found = [*cells, run] if set(cells) != {NOT_RUN} else kept.get(f"`{point}`", [*cells, ""])
        lines.append(_row(f"`{point}`", what, *found))
    lines.append(_FAULTS)
    for fault in FAULTS:
        case = figures.faults.get(fault.name)
        rest = [*map(str, case.counted), run] if case else kept.get(fault.name, _NO_RUNS)
        lines.append(_row(fault.name, fault.sentence, *rest))
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text("".join(lines), encoding="utf-8")


def _kept() -> dict[str, list[str]]:
    """Return what the document says now, by what stands first in its row, without what was done there."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())
    return {cells[0]: cells[2:] for cells in rows if len(cells) > 2}


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"
