"""How fast the trace page is for a usual task and for one of 5,000 spans, on the server and in Chromium.

`python -m tests.bench.trace [--json] [--quick]`
"""

from __future__ import annotations

import gzip
import os
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tests.services  # noqa: F401  starts PostgreSQL and Redis before Django reads its settings
from tests.bench._figures import Report, options, percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client
    from playwright.sync_api import Page

ROUNDS, QUICK_ROUNDS = 30, 8
PRESSES = 60
PASSWORD = "correct horse"

# Scrolls through everything and gives the time between frames, in ms.
_SCROLL = """
async () => {
  const times = [];
  const pane = document.scrollingElement;
  pane.scrollTop = 0;
  const step = Math.max(200, pane.scrollHeight / 120);
  let last = performance.now();
  for (let n = 0; n < 120; n++) {
    pane.scrollTop += step;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  return times;
}
"""
# Presses a key as keys.js hears it and waits for the frame after: what a person waits for.
_PRESS = """
async (key) => {
  const times = [];
  for (let n = 0; n < PRESSES; n++) {
    const began = performance.now();
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - began);
  }
  return times;
}
""".replace("PRESSES", str(PRESSES))


@dataclass
class Answer:
    """What one address took."""

    milliseconds: list[float]
    sql: list[float]
    statements: int
    size: int  # gzipped


def main() -> None:
    """Make the rows, measure, print."""
    chosen = options(__doc__ or "")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
    usual, large = prepare()
    report = Report("trace")
    rounds = QUICK_ROUNDS if chosen.quick else ROUNDS
    on_the_server(report, usual, large, rounds)
    in_the_browser(report, large)
    report.finish(as_json=chosen.json)


def prepare() -> tuple[Any, Any]:
    """Return a usual task and one of 5,023 spans, of a project with one person."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from projects.models import Membership, Project, Role, User
    from tests.trace_fixtures import large_task, traced_task

    project = Project.objects.create(slug="acme", name="acme/billing", repository="/nowhere.git")
    person = User.objects.create_user("dana", password=PASSWORD)
    Membership.objects.create(user=person, project=project, role=Role.LEAD)
    return traced_task(project, person), large_task(project, person)


def on_the_server(report: Report, usual: Any, large: Any, rounds: int) -> None:
    """Measure answers in this process, the template and every statement included."""
    from django.test import Client

    client = Client(headers={"host": "localhost"})
    client.login(username="dana", password=PASSWORD)
    first = answer(client, _path(usual), rounds)
    report.add("usual task: page", _median(first.milliseconds), "ms", goal=("<=", 100))
    report.add("usual task: its own statements", _median(first.sql), "ms", goal=("<=", 5))
    report.add("usual task: how many", first.statements, "", goal=("<=", 12))
    agent, step = _first_keys(client, large)
    opened = f"turn={agent}&turn={step}"
    for name, query, fragment, goal in (
        ("first view", "", False, 250),
        ("an agent opened", f"turn={agent}&part=below&of={agent}", True, 250),
        ("a step opened", f"{opened}&part=below&of={step}", True, 250),
        ("errors only", "errors=1", False, 400),
        ("a search", "q=part_7_3", False, 400),
        ("slowest 10", "sort=slowest", False, 250),
        ("all opened, first 400 rows", "open=all", False, 500),
    ):
        one = answer(client, f"{_path(large)}?{query}", rounds, fragment=fragment)
        note = f"{one.size / 1024:.0f} kB gzipped, {one.statements} statements"
        report.add(
            f"5,023 spans: {name}", _median(one.milliseconds), "ms", goal=("<=", goal), note=note
        )
        report.add(f"5,023 spans: {name}, p95", percentile(one.milliseconds, 0.95), "ms")


def answer(client: Client, path: str, rounds: int, *, fragment: bool = False) -> Answer:
    """Return what an address took, the first time left out."""
    from django.db import connection

    headers = {"HX-Request": "true"} if fragment else {}
    found = Answer(milliseconds=[], sql=[], statements=0, size=0)
    for number in range(rounds + 1):
        clock = _Clock()
        began = time.perf_counter()
        with connection.execute_wrapper(clock):
            got = client.get(path, headers=headers)
        took = (time.perf_counter() - began) * 1000
        assert got.status_code == 200, got.status_code
        if number:
            found.milliseconds.append(took)
            found.sql.append(clock.milliseconds)
        found.statements = clock.statements
        found.size = len(gzip.compress(got.content))
    return found


class _Clock:
    """Counts and times the statements that read the run; the shell's own are every page's."""

    def __init__(self) -> None:
        self.statements, self.milliseconds = 0, 0.0

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, *rest)
        finally:
            if any(f'FROM "{table}"' in sql for table in _OWN):
                self.statements += 1
                self.milliseconds += (time.perf_counter() - began) * 1000


_OWN = ("agents_step", "agents_attempt", "agents_modelcall", "agents_toolcall", "agents_delegation")


def in_the_browser(report: Report, large: Any) -> None:
    """Measure what a person feels with every row of 5,023 in the page."""
    from tests.acceptance.browsing import chromium
    from tests.web_process import web

    with tempfile.TemporaryDirectory() as folder, web(Path(folder)) as address, chromium() as one:
        page = one.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(f"{address}/sign-in")
        page.fill("#username", "dana")
        page.fill("#password", PASSWORD)
        page.click("button")
        page.goto(address + _path(large))
        loaded = "performance.getEntriesByType('navigation')[0].loadEventEnd"
        page.reload()
        report.add("Chromium: first view loaded", page.evaluate(loaded), "ms", goal=("<=", 1200))
        page.goto(f"{address}{_path(large)}?open=all")
        rows = _load_all(page)
        report.add("Chromium: rows in the page", rows, "", goal=(">=", 5_000))
        frames = page.evaluate(_SCROLL)
        report.add("Chromium: frame while scrolling, median", _median(frames), "ms")
        report.add("Chromium: the same, p95", percentile(frames, 0.95), "ms", goal=("<=", 100))
        page.evaluate("document.querySelector('[data-look]').focus()")
        for key, word in (("j", "next row"), ("k", "row before")):
            times = page.evaluate(_PRESS, key)
            report.add(f"Chromium: {word}, p95", percentile(times, 0.95), "ms", goal=("<=", 150))
        page.evaluate("document.querySelector('[data-look]').focus()")
        closing = [page.evaluate(_PRESS_ONCE, key) for key in "hlhlhl"]
        report.add("Chromium: close or open an agent, most", max(closing), "ms", goal=("<=", 300))


_PRESS_ONCE = _PRESS.replace(f"n < {PRESSES}", "n < 1").replace("return times", "return times[0]")


def _load_all(page: Page) -> int:
    """Scroll until no more rows are to come."""
    while page.locator("#trace-more").count():
        before = page.locator("[data-span]").count()
        page.locator("#trace-more").scroll_into_view_if_needed()
        page.wait_for_function(
            "n => document.querySelectorAll('[data-span]').length > n", arg=before
        )
    return page.locator("[data-span]").count()


def _first_keys(client: Client, task: Any) -> tuple[str, str]:
    def first(query: str, **headers: str) -> str:
        page = client.get(f"{_path(task)}{query}", headers=headers).content.decode()
        found = re.search(r'data-span="([^"]+)"', page)
        assert found is not None
        return found[1]

    agent = first("")
    return agent, first(f"?turn={agent}&part=below&of={agent}", **{"HX-Request": "true"})


def _path(task: Any) -> str:
    return f"/tasks/T-{task.number}/trace"


def _median(values: list[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
