"""How fast reviewing is: the page of a large change, an inbox of 200,000, and a hundred decisions by keys.

`python -m tests.bench.review [--json] [--quick]`: everything stands in one database of a million tasks;
`--quick`: of 20,000, and twenty decisions, in a minute. The web process is the one `up` starts.

The large change adds 1,400 lines and removes 600 in 40 files. Its page comes in parts: the first byte is
that of the claims, the whole page is there when the browser has all files. It is measured as somebody meets it first
(no reader before, nothing kept in the browser) and again. The decisions are sealed approvals of real
commits at low, medium and high risk; a script presses keys and waits for pages, every decision goes
through its review page, and the rows are counted afterwards. Nobody merges meanwhile.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench._figures import Report, options, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from approvals.models import Approval
    from projects.models import User
    from tests.bench._lists_measure import Persons
    from tests.bench._review_changes import Wanted

FIRST_BYTE_MS, PAGE_MS, INBOX_MS = 250.0, 1_200.0, 120.0
CLEARED_S, CLEARED_OF = 300.0, 100
_INBOX = ("inbox", "inbox, deep", "inbox live")
_EVERYWHERE = "review-everywhere"  # leads every project of the large house
_POSTED = 10
_SAYS = b"What the agents claim"  # below what an approval does, above the lines
_WAITING = "SELECT count(*) FROM approvals_approval WHERE state = 'pending'"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is made, and how often it is measured."""

    tasks: int
    changes: int  # large ones, half of them for the wire and half for Chromium
    times: int
    approvals: int
    rounds: int


WHOLE = Size(tasks=1_000_000, changes=12, times=20, approvals=CLEARED_OF, rounds=2)
QUICK = Size(tasks=20_000, changes=4, times=6, approvals=20, rounds=1)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Somebody who decides, and what waits for them alone."""

    lead: User
    wanted: list[Wanted]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that is measured, and where it is served."""

    port: int
    persons: Persons
    reader: User
    large: list[Approval]
    desks: list[Desk]
    posted: Desk  # its decisions are sent without a page

    @property
    def address(self) -> str:
        """Return where the console is."""
        return f"http://127.0.0.1:{self.port}"

    def cookies(self, person: User) -> dict[str, str]:
        """Return what a signed-in browser of this person holds."""
        jar = self.persons.clients[person.username].cookies
        return {name: morsel.value for name, morsel in jar.items()}


def prepare(folder: Path, size: Size, port: int) -> Scene:
    """Put everything up for review and sign everybody in."""
    from projects.models import Membership, Project, Role, User
    from tests.bench import _review_changes as changes
    from tests.bench._lists_measure import Persons

    everywhere = User.objects.create(username=_EVERYWHERE)
    Membership.objects.bulk_create(
        Membership(user=everywhere, project=project, role=Role.LEAD)
        for project in Project.objects.filter(slug__startswith="project-")
    )
    requester, reader, poster, *leads = changes.people(size.rounds + 2)
    desks = [
        Desk(lead=lead, wanted=changes.mixed(folder, requester, lead, size.approvals))
        for lead in leads
    ]
    scene = Scene(
        port=port,
        persons=Persons(),
        reader=reader,
        large=changes.large(folder, requester, reader, size.changes),
        desks=desks,
        posted=Desk(lead=poster, wanted=changes.mixed(folder, requester, poster, _POSTED)),
    )
    for person in (everywhere, reader, *leads):
        scene.persons.add(person.username)
    return scene


def measure_inbox(report: Report, scene: Scene, times: int) -> None:
    """Measure the inbox of somebody who leads all projects: its first page, a deep one, its news."""
    import psycopg

    from tests.bench import _lists_measure, _lists_pages

    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        pages = _lists_pages.pages(database)
        waiting = database.execute(_WAITING).fetchone()
    report.add("inbox: approvals that wait", waiting[0] if waiting else 0, "")
    bare = _lists_pages.Measured(name="healthz", path="/healthz", who="")
    floor = _lists_measure.first_bytes(bare, scene.persons, scene.port, times=80)
    limit = statistics.median(floor)
    report.add("healthz: first byte", limit, "ms", note="the smallest answer: the limit")
    for page in pages:
        if page.name in _INBOX and page.who == _lists_pages.LEAD:
            theirs = replace(page, who=_EVERYWHERE)
            taken = _lists_measure.first_bytes(theirs, scene.persons, scene.port, times=times)
            _add(report, f"{page.name}: first byte", taken, INBOX_MS, limit)


def measure_wire(report: Report, scene: Scene, paths: Sequence[str], times: int) -> None:
    """Measure the first byte of pages nobody has asked for yet, and of one asked for again."""
    from tests.bench import _review_pages

    cookies = scene.cookies(scene.reader)
    floor = _review_pages.ask(["/healthz"] * 40, {}, scene.port)
    limit = statistics.median(floor.first)
    first = _review_pages.ask(paths, cookies, scene.port, _SAYS)
    again = _review_pages.ask([paths[0]] * times, cookies, scene.port, _SAYS)
    size = f"{first.size / 1024:.0f} kB gzipped"
    _add(report, "review page: first byte", first.first, FIRST_BYTE_MS, limit, size)
    _add(report, "review page again: first byte", again.first, FIRST_BYTE_MS, limit)


def measure_chromium(
    report: Report, scene: Scene, paths: Sequence[str], browser: Browser, times: int
) -> None:
    """Measure pages nobody has asked for yet in browsers that keep nothing, and one again."""
    from tests.bench import _review_pages

    first, again, memory = (_review_pages.Shown() for _ in range(3))
    visitor = _review_pages.Visitor(browser, scene.address, scene.cookies(scene.reader))
    for path in paths:
        visitor.open_new(path, first)
    visitor.open_again(paths[0], again, memory, times // 2)
    limit = statistics.median(memory.shown)
    report.add("the same bytes out of memory", limit, "ms", note="Chromium alone: the limit")
    size = f"{first.elements:,} elements"
    _add(report, "review page: in Chromium", first.shown, PAGE_MS, limit, size)
    _add(report, "review page again: in Chromium", again.shown, PAGE_MS, limit)
    _add(report, "review page: load event", first.loaded, PAGE_MS, limit)


def measure_clearing(report: Report, scene: Scene, browser: Browser) -> None:
    """Clear every desk by keys; a decision the rows do not tell of fails the run."""
    from tests.bench import _review_decided, _review_keys, _review_pages

    visits = []
    for desk in scene.desks:
        visitor = _review_pages.Visitor(browser, scene.address, scene.cookies(desk.lead))
        with visitor.page() as page:
            visits.append(_review_keys.clear(page, scene.address, desk.wanted))
    each = [seconds * 1000 for visit in visits for seconds in visit.each]
    posted = _review_decided.post(scene.posted.wanted, scene.posted.lead, scene.port)
    count = len(scene.desks[0].wanted)
    goal = CLEARED_S * count / CLEARED_OF
    slowest = max(visits, key=lambda visit: visit.seconds)
    report.add(
        f"{count} approvals cleared by keys",
        slowest.seconds,
        "s",
        goal=("<=", goal),
        limit=posted * count,
        note=f"the slowest of {len(visits)}, {slowest.presses:,} keys; limit: sent without pages",
    )
    report.add("one decision by keys", statistics.median(each), "ms", note=_spread(each))
    lost = [
        said for desk in scene.desks for said in _review_decided.missing(desk.wanted, desk.lead)
    ]
    report.add("decisions missing", len(lost), "", goal=("==", 0), note="; ".join(lost[:2]))


def _add(
    report: Report, name: str, taken: list[float], goal: float, limit: float, note: str = ""
) -> None:
    note = f"{_spread(taken)}; {note}" if note else _spread(taken)
    report.add(name, statistics.median(taken), "ms", goal=("<=", goal), limit=limit, note=note)


def _spread(taken: list[float]) -> str:
    return f"{len(taken)} times, p95 {percentile(taken, 0.95):.0f}, most {max(taken):.0f} ms"


def measure(report: Report, scene: Scene, times: int) -> None:
    """Measure everything."""
    from tests.acceptance.live_house import browser_beside_rows

    paths = [f"/review/T-{approval.task.number}/r1" for approval in scene.large]
    half = len(paths) // 2
    measure_wire(report, scene, paths[:half], times)
    measure_inbox(report, scene, times)
    with browser_beside_rows() as browser:
        measure_chromium(report, scene, paths[half:], browser, times)
        measure_clearing(report, scene, browser)


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    # Starts the services and names them in the environment, so before Django reads it.
    import tests.services  # noqa: F401

    os.environ["DJANGO_SETTINGS_MODULE"] = "countersign.settings"
    import django

    django.setup()
    logging.disable(logging.WARNING)
    report = Report("review")
    try:
        run(report, QUICK if chosen.quick else WHOLE)
    except BaseException:  # half an hour of figures is not lost with the last of them
        report.show(as_json=chosen.json)
        raise
    report.finish(as_json=chosen.json)


def run(report: Report, size: Size) -> None:
    """Fill, put up, serve and measure."""
    from tests.bench import lists
    from tests.bench._review_beside import Beside

    report.add("tasks", size.tasks, "")
    report.add("filled in", lists.prepare(size.tasks), "s")
    with tempfile.TemporaryDirectory() as folder, lists.web() as port:
        began = time.perf_counter()
        scene = prepare(Path(folder), size, port)
        report.add("put up in", time.perf_counter() - began, "s")
        beside = Beside()
        measure(report, scene, size.times)
        report.beside = beside.said()


if __name__ == "__main__":
    main()
