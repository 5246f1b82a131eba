"""`python -m tests.chaos`: breaks a whole Countersign at every named point and at random moments.

Exits 1 on any violation, and keeps the logs. A run is a function of the seed and the fault:
`--seed 7 --fault "worker killed"` plays it again, `--point effect.pushed` a point.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import django
import httpx
from rich.console import Console

from tests.chaos.house import LEASE_SECONDS, House, until
from tests.chaos.model import Model
from tests.tool_server import PayServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.runs import Runs

console = Console(highlight=False)
_SMOKE_POINTS = (
    *("turn.answered", "turn.stored", "tool.acted", "work.handed_in", "settle.written"),
    *("plan.applied", "proposal.published", "decide.committed", "effect.begun", "effect.sent"),
    *("effect.pushed", "effect.confirming", "call.sent", "call.answered"),
    *("carry.committed", "grant.committed"),
)
_SMOKE_FAULTS = ("all workers killed", "Postgres restarted", "Redis restarted")


def main() -> int:
    """Run what is asked for; return the exit code."""
    options = _options()
    began = time.monotonic()
    with Model() as model, PayServer() as shop, House(model.base_url) as house:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
        django.setup()
        runs = _ready(house, model, shop, options.seed)
        _say(began, f"the house stands; seed {options.seed}")
        try:
            _play(runs, options, began)
        except BaseException:
            house.keep = True
            console.print(f"the logs are kept in {house.folder}")
            raise
        figures = runs.figures
        figures.violations += runs.at_the_end()
        figures.seconds = time.monotonic() - began
        _say(began, f"{house.deaths} processes died and came back")
        if figures.violations:
            house.keep = True
            console.print(f"[bold red]violations[/] (logs kept in {house.folder}):")
            for violation in figures.violations:
                console.print(f"  {violation}", markup=False)
    from tests.chaos import report

    report.show(figures, console)
    if options.write:
        report.write(figures, LEASE_SECONDS)
    return 1 if figures.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311
    parser.add_argument("--smoke", action="store_true", help="A selection, in two minutes.")
    parser.add_argument("--runs", type=int, default=40, help="Random runs over all faults.")
    parser.add_argument("--tasks", type=int, default=20, help="Tasks in each of them.")
    parser.add_argument("--fault", action="append", help="Only this fault.")
    parser.add_argument("--point", action="append", help="Only this failpoint.")
    parser.add_argument("--mode", action="append", help="Only this way: kill, raise or stall.")
    parser.add_argument("--batch", type=int, default=8, help="Failpoints armed at a time.")
    parser.add_argument(
        "--longest", type=int, default=870, help="Seconds after which nothing more is begun."
    )
    parser.add_argument(
        "--write", action="store_true", help="Write what was played into docs/crash-matrix.md."
    )
    return parser.parse_args()


def _ready(house: House, model: Model, shop: PayServer, seed: int) -> Runs:
    from tests.chaos import world
    from tests.chaos.runs import Runs

    made = world.make(house, shop)
    house.start_workers()

    def stands() -> bool:
        try:
            return httpx.get(f"{house.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    until(stands, 120, "the house to be ready")
    return Runs(house=house, model=model, world=made, seed=seed)


def _play(runs: Runs, options: argparse.Namespace, began: float) -> None:
    from projects.failpoints import POINTS
    from tests.chaos.faults import FAULTS
    from tests.chaos.matrix import MODES, batches

    points: Sequence[str] = options.point or ([] if options.fault else list(POINTS))
    modes: Sequence[str] = options.mode or list(MODES)
    faults: Sequence[str] = options.fault or ([] if options.point else [f.name for f in FAULTS])
    count, tasks = options.runs, options.tasks
    if options.smoke:
        points, modes, faults = _SMOKE_POINTS, ["kill"], _SMOKE_FAULTS
        count, tasks = len(faults), 8
    known = {fault.name: fault for fault in FAULTS}
    struck = [known[faults[number % len(faults)]] for number in range(count if faults else 0)]
    begun = [
        *(
            (f"{mode} at {', '.join(batch)}", partial(runs.at_points, batch, mode))
            for mode in modes
            for batch in batches(list(points), options.batch)
        ),
        *(
            (fault.name, partial(runs.under, fault, number, tasks))
            for number, fault in enumerate(struck)
        ),
    ]
    for done, (what, play) in enumerate(begun):
        if time.monotonic() - began > options.longest:
            _say(began, f"time is over; {len(begun) - done} of {len(begun)} were not begun")
            return
        _say(began, f"{what}: {play()}")


def _say(began: float, text: str) -> None:
    console.print(f"{time.monotonic() - began:6.1f} s  {text}", markup=False)


if __name__ == "__main__":
    threading.current_thread().name = "chaos"
    sys.exit(main())
