"""Every page and list at the size of years: its statements, their time, and its first byte.

`python -m tests.bench.lists [--json] [--quick]`: a million tasks, ten million events, 200,000
approvals that wait; `--quick`: a fiftieth, each page as one person, in a minute.

SQL is measured inside this process: each statement a page sent is explained by the server, whose own
execution time is added up (EXPLAIN ANALYZE without timing of nodes, the median of several; planning
stands beside). First bytes are measured over the wire, from the web process as `up` starts it.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.bench._figures import Report, options, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench._lists_measure import Costs
    from tests.bench._lists_pages import Measured

SQL_MS = 5.0
QUERIES = 12
FIRST_BYTE_MS = 120.0
_OK = (200, 302)
# No worker runs beside it, which /readyz tells.
_UNREADY = "readyz"


def prepare(tasks: int) -> float:
    """Make tables, agents, rows and an admin; return the seconds the rows took."""
    from django.core.management import call_command

    from agents.seeding import seed_agents
    from projects.models import User
    from tests.bench import _large

    call_command("migrate", interactive=False, verbosity=0)
    seed_agents()
    began = time.perf_counter()
    _large.fill(os.environ["DATABASE_URL"], tasks=tasks)
    User.objects.create_superuser("admin", password=None)
    return time.perf_counter() - began


@contextlib.contextmanager
def web() -> Iterator[int]:
    """Run the web process of `up`; yield its port."""
    from countersign.supervisor.parts import WEB_SERVER, WEB_SETTINGS

    listener = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-m", *WEB_SERVER, "--fd", str(listener.fileno())]
    env = {**WEB_SETTINGS, **os.environ, "DJANGO_SETTINGS_MODULE": "countersign.settings"}
    process = subprocess.Popen(
        command, env=env, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL
    )
    atexit.register(process.kill)
    try:
        yield listener.getsockname()[1]
    finally:
        process.terminate()
        process.wait(20)


def measure(report: Report, *, quick: bool) -> None:
    """Measure every page of the database the settings name."""
    import psycopg

    from tests.bench import _lists_measure, _lists_pages

    persons = _lists_measure.Persons()
    for username in (_lists_pages.LEAD, _lists_pages.REQUESTER, _lists_pages.ADMIN):
        persons.add(username)
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        pages = _lists_pages.pages(database, quick=quick)
    asked = {page: _lists_measure.costs(page, persons, times=1 if quick else 5) for page in pages}
    with web() as port:
        bare = _lists_pages.Measured(name="healthz", path="/healthz", who="")
        times = 2 if quick else 20
        floor = _lists_measure.first_bytes(bare, persons, port, times=80)
        limit = statistics.median(floor)
        report.add("healthz first byte", limit, "ms", note="the smallest answer: the limit")
        for page in pages:
            taken = _lists_measure.first_bytes(page, persons, port, times=times)
            _report(report, page, asked[page], taken, limit)
    _worst(report, asked)


def _report(report: Report, page: Measured, asked: Costs, taken: list[float], limit: float) -> None:
    name = f"{page.name} ({page.who})" if page.who else page.name
    if asked.status not in _OK and page.name != _UNREADY:
        report.add(f"{name}: status", asked.status, "", goal=("==", 200))
    walked = f"planned {asked.planned_ms:.1f} ms; most rows of one scan: {asked.walked:,}"
    report.add(f"{name}: SQL", asked.server_ms, "ms", goal=("<=", SQL_MS), note=walked)
    report.add(f"{name}: queries", asked.queries, "", goal=("<=", QUERIES))
    p95 = f"p95 {percentile(taken, 0.95):.0f} ms"
    middle = statistics.median(taken)
    goal = ("<=", FIRST_BYTE_MS)
    report.add(f"{name}: first byte", middle, "ms", goal=goal, limit=limit, note=p95)


def _worst(report: Report, asked: dict[Measured, Costs]) -> None:
    report.add("pages measured", len(asked), "")
    report.add("worst SQL", max(each.server_ms for each in asked.values()), "ms")
    report.add("worst queries", max(each.queries for each in asked.values()), "")


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    # Starts the services and names them in the environment, so before Django reads it.
    import tests.services  # noqa: F401

    os.environ["DJANGO_SETTINGS_MODULE"] = "countersign.settings"
    import django

    django.setup()
    logging.disable(logging.WARNING)
    from django.conf import settings

    from tests.bench import _large

    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    report = Report("lists")
    tasks = _large.QUICK if chosen.quick else _large.TASKS
    report.add("tasks", tasks, "")
    report.add("filled in", prepare(tasks), "s")
    measure(report, quick=chosen.quick)
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
