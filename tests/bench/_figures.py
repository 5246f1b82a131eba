"""How every benchmark reports: a table for people and one JSON line for machines."""

from __future__ import annotations

import argparse
import json
import operator
import os
import platform
import sys
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

OPERATORS = {"<": operator.lt, "<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number, beside its goal and, where there is one, its limit in the same run."""

    name: str
    value: float
    unit: str
    goal: tuple[str, float] | None = None
    limit: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Tell whether the goal, if any, is met."""
        return self.goal is None or OPERATORS[self.goal[0]](self.value, self.goal[1])

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        goal = f"{self.goal[0]} {self.goal[1]:g}" if self.goal else ""
        limit = f"{self.limit:.4g}" if self.limit is not None else ""
        ratio = f"{self.value / self.limit:.2f}" if self.limit else ""
        met = ("yes" if self.met else "NO") if self.goal else ""
        return self.name, f"{self.value:.4g} {self.unit}", limit, ratio, goal, met, self.note


@dataclass
class Report:
    """All figures of one benchmark."""

    bench: str
    figures: list[Figure] = field(default_factory=list)
    beside: str = ""  # what else ran on the machine meanwhile

    @property
    def where(self) -> str:
        """Say on what this was measured, and beside what."""
        return f"{machine()}; {self.beside}" if self.beside else machine()

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        goal: tuple[str, float] | None = None,
        limit: float | None = None,
        note: str = "",
    ) -> None:
        """Add one figure."""
        figure = Figure(name=name, value=value, unit=unit, goal=goal, limit=limit, note=note)
        self.figures.append(figure)

    def finish(self, *, as_json: bool) -> None:
        """Print everything and exit: 1 when a goal is missed."""
        self.show(as_json=as_json)
        sys.exit(0 if all(figure.met for figure in self.figures) else 1)

    def show(self, *, as_json: bool) -> None:
        """Print what was measured so far."""
        table = Table(title=f"{self.bench} on {self.where}")
        for heading in ("figure", "value", "limit in this run", "ratio", "goal", "met", ""):
            table.add_column(heading)
        for figure in self.figures:
            table.add_row(*figure.cells())
        Console(width=150).print(table)
        if as_json:
            sys.stdout.write(self.json() + "\n")

    def json(self) -> str:
        """Return the line machines read."""
        return json.dumps(
            {
                "bench": self.bench,
                "machine": self.where,
                "figures": {figure.name: figure.value for figure in self.figures},
                "goals": {
                    figure.name: {"op": figure.goal[0], "goal": figure.goal[1], "met": figure.met}
                    for figure in self.figures
                    if figure.goal
                },
            }
        )


def machine() -> str:
    """Say on what this was measured."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def options(description: str) -> argparse.Namespace:
    """Read --json and --quick."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print the JSON line last")
    parser.add_argument("--quick", action="store_true", help="a smaller run, 60 s at most")
    return parser.parse_args()


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
