"""`manage.py verify_invariants`: check that everything that must be true is true."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from countersign import invariants
from projects.characters import plain

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from countersign.invariants import Result
    from projects.invariants import Check


class Command(BaseCommand):
    """Check every invariant; exit 1 naming the rows that break one, 2 when some cannot be checked."""

    help = "Check every invariant of the running system, and name the rows that break one."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the options."""
        parser.add_argument("names", nargs="*", help="Only these checks (default: all).")
        parser.add_argument("--json", action="store_true", help="Print JSON, for other programs.")

    def handle(self, **options: Any) -> None:
        """Check and print; exits 1 when something does not hold, 2 when it is only not known."""
        results = invariants.verify(_chosen(options["names"]))
        if options["json"]:
            self.stdout.write(json.dumps(as_json(results), indent=2))
        else:
            _print(Console(file=cast("IO[str]", self.stdout._out), highlight=False), results)
        if any(result.found.count for result in results):
            sys.exit(1)
        if not all(result.holds for result in results):
            sys.exit(2)


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the results as data."""
    return {
        "holds": all(result.holds for result in results),
        "checks": [
            {
                "name": result.check.name,
                "sentence": result.check.sentence,
                "holds": result.holds,
                "count": result.found.count,
                "rows": [asdict(offence) for offence in result.found.shown],
                "fault": result.fault,
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }


def _chosen(names: list[str]) -> list[Check]:
    known = {check.name: check for check in invariants.checks()}
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"There is no check {unknown[0]!r}. There are: {', '.join(known)}.")
    return [known[name] for name in names]


def _print(console: Console, results: list[Result]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("check", "", "what must be true"):
        table.add_column(column, no_wrap=column != "what must be true")
    table.add_column("ms", justify="right")
    for result in results:
        milliseconds = f"{result.seconds * 1000:.0f}"
        table.add_row(result.check.name, _verdict(result), result.check.sentence, milliseconds)
    console.print(table)
    for result in results:
        if not result.holds:
            _print_rows(console, result)
    console.print(f"\n{_summary(results)}")


def _summary(results: list[Result]) -> str:
    broken = sum(bool(result.found.count) for result in results)
    unknown = sum(not result.holds for result in results) - broken
    if not broken and not unknown:
        return f"All {len(results)} invariants hold."
    said = [f"{broken} of {len(results)} invariants do not hold."] if broken else []
    if unknown:
        said.append(
            f"{unknown} of {len(results)} could not be checked; of them nothing is known. "
            "Is the database up, and is this the folder that `make up` runs in?"
        )
    return " ".join(said)


def _verdict(result: Result) -> str:
    if result.fault:
        return "[bold red]not checked[/]"
    if result.found.count:
        return f"[bold red]{result.found.count} broken[/]"
    return "[green]holds[/]"


def _print_rows(console: Console, result: Result) -> None:
    console.print(f"\n[bold]{result.check.name}[/] {result.check.sentence}")
    if result.fault:
        console.print(f"  {plain(result.fault)}", markup=False)
    for offence in result.found.shown:
        row = f"{offence.table} {offence.pk}".strip()
        console.print(plain(f"  {row} {offence.said}"), markup=False)
    if left := result.found.count - len(result.found.shown):
        console.print(f"  and {left} more")
