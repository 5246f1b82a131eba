"""How soon an event of a task is on its page in Chromium, beside what it takes a page to be told and to ask.

`python -m tests.bench.live_page [--json] [--quick]`
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tests.services  # noqa: F401  starts PostgreSQL and Redis before Django reads its settings
from tests.acceptance.live_house import WATCH, browser_beside_rows
from tests.bench._figures import Report, options, percentile
from tests.web_process import web

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVENTS, QUICK_EVENTS = 60, 20
PACES = {"now and then": (0.5, 0.9), "fast": (0.0, 0.2)}  # seconds between two events
GOAL_MS = 300.0
PASSWORD = "correct horse"

# When the page's own socket told of each event, before anything of the page heard it.
_TOLD = """
window.told = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      const { seq } = JSON.parse(data);
      if (seq) window.told.push([seq, Date.now()]);
    });
  }
};
"""
# What the answer alone takes that brings the rows: asked for what is new, and nothing is.
_ASK = """async () => {
  const last = document.querySelector("#events > [data-seq]:last-child").dataset.seq;
  const url = new URL(document.body.dataset.live, location.href);
  url.searchParams.set("after", last);
  const began = performance.now();
  await (await fetch(url, { headers: { "HX-Request": "true" } })).text();
  return performance.now() - began;
}"""


def main() -> None:
    """Make a task that runs, watch it, print."""
    chosen = options(__doc__ or "")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
    made = prepare()
    report = Report("live_page")
    with (
        tempfile.TemporaryDirectory() as folder,
        web(Path(folder)) as address,
        browser_beside_rows() as browser,
    ):
        page = watch(browser, address, made.task.number)
        for name, pauses in PACES.items():
            paced(report, page, made, name, pauses, QUICK_EVENTS if chosen.quick else EVENTS)
    report.finish(as_json=chosen.json)


def prepare() -> Any:
    """Return a task with two agents at work, of a project with one person."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from projects.models import Membership, Project, Role, User
    from tests.console_fixtures import running_task

    project = Project.objects.create(slug="acme", name="acme/billing", repository="/nowhere.git")
    person = User.objects.create_user("dana", password=PASSWORD)
    Membership.objects.create(user=person, project=project, role=Role.LEAD)
    return running_task(project, person)


def watch(browser: Browser, address: str, number: int) -> Page:
    """Open the page of a task, signed in, and wait until it is live."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(f"{address}/sign-in")
    page.fill("#username", "dana")
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.add_init_script(_TOLD)
    page.add_init_script(WATCH)
    page.goto(f"{address}/tasks/T-{number}?tab=events")
    page.wait_for_selector("[data-connection=live]", state="attached")
    return page


def paced(
    report: Report, page: Page, made: Any, name: str, pauses: tuple[float, float], count: int
) -> None:
    """Write events at a pace, and tell how late each was told of and shown."""
    from tests.console_fixtures import say

    committed: dict[int, float] = {}
    for number in range(count):
        say(made.steps["coder"], f"{number} of what is said {name}")
        committed[made.task.last_seq] = time.time() * 1000
        time.sleep(random.uniform(*pauses))  # noqa: S311 - a person's or a model's pace
    page.wait_for_selector(f"#event-{made.task.last_seq}", state="attached")
    told, shown = (_late(page, each, committed) for each in ("told", "arrived"))
    asked = statistics.median(page.evaluate(_ASK) for _ in range(count))
    limit = statistics.median(told) + asked
    note = f"told after {statistics.median(told):.1f} ms, and {asked:.1f} ms for a bare answer"
    goal = ("<=", GOAL_MS)
    report.add(f"{name}: p50", statistics.median(shown), "ms", goal=goal, limit=limit, note=note)
    report.add(f"{name}: p99", percentile(shown, 0.99), "ms", note=f"of {len(shown)}")


def _late(page: Page, name: str, committed: dict[int, float]) -> list[float]:
    came: dict[int, float] = dict(
        reversed(page.evaluate(f"window.{name}"))
    )  # the first time counts
    return [came[seq] - moment for seq, moment in committed.items()]


if __name__ == "__main__":
    main()
