"""How many requests for work one server process takes, durably, and what it does in a crash.

`python -m tests.bench.intake [--json] [--quick]`
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from tests.bench._figures import Report, options, percentile
from tests.bench._load import Orders, Seen
from tests.bench._web import REQUEST, Site, load

OURS = "countersign.asgi:application"
PATH = "/api/v1/tasks"
CONNECTIONS = 512
RATE = 5_000.0  # requests a second: the founding article's promise


@dataclass(frozen=True, kw_only=True)
class Spell:
    """How long each part runs, in seconds."""

    closed: float
    textbook: float
    open: float
    crash: float


WHOLE = Spell(closed=8, textbook=8, open=20, crash=10)
QUICK = Spell(closed=3, textbook=3, open=5, crash=6)


def closed(report: Report, site: Site, spell: Spell) -> None:
    """Each connection sends as soon as it was answered: the most that one process takes."""
    hello, port = site.serve_plain("tests.bench._hello:application")
    orders = Orders(port=port, path="/", seconds=spell.closed, connections=CONNECTIONS)
    raw = load(orders).rate
    hello.end()
    report.add("hello_rate", raw, "/s", note=f"raw uvicorn, {CONNECTIONS} connections as all here")
    server, port = site.serve(OURS)
    orders = replace(orders, port=port, path=PATH, token=site.token, body=REQUEST)
    load(_for(orders, 1.0))  # statements are prepared, the cache is warm
    cpu, database = server.cpu(), site.server_cpu()
    seen = load(_for(orders, spell.closed))
    taken = len(seen.milliseconds)
    goal = (">=", 8_000.0)
    report.add("intake_rate", seen.rate, "/s", goal=goal, limit=raw, note="202 after the commit")
    report.add("intake_to_hello", seen.rate / raw, "", goal=(">=", 0.25))
    report.add("intake_not_taken", sum(seen.statuses.values()) - taken, "", goal=("==", 0.0))
    report.add("intake_cpu", (server.cpu() - cpu) / taken * 1e6, "us", note="server, per request")
    used = (site.server_cpu() - database) / taken * 1e6
    report.add("intake_database_cpu", used, "us", note="PostgreSQL and Redis, per request")
    report.add("intake_client_cpu", seen.cpu / taken * 1e6, "us", note="this load, per request")
    server.end()


def textbook(report: Report, site: Site, spell: Spell) -> None:
    """The same request the plain way: waiting for the model, and a Celery message for each."""
    with_model = {"OPENAI_BASE_URL": site.stub(seconds=1.0).base_url}
    server, port = site.serve("tests.bench._textbook:application", **with_model)
    for name, note in (
        ("waiting", "before: synchronous DRF view, the model takes 1 s"),
        ("publishing", "before: DRF and a Celery message a request"),
    ):
        orders = Orders(port=port, path=f"/{name}", token=site.token, body=REQUEST)
        load(_for(orders, 1.0))
        seen = load(_for(orders, spell.textbook))
        report.add(f"textbook_{name}_rate", seen.rate, "/s", note=note)
        p99 = percentile(seen.milliseconds, 0.99)
        report.add(f"textbook_{name}_p99", p99, "ms", note="64 connections")
    server.end()


def open_loop(report: Report, site: Site, spell: Spell) -> None:
    """A steady stream, whatever the answers do; times from when each should have been sent."""
    server, port = site.serve(OURS)
    orders = Orders(port=port, path=PATH, token=site.token, body=REQUEST, connections=256)
    load(_for(orders, 1.0, rate=500.0))
    site.checkpoint()  # so that what ran before is not paid for here
    cpu = server.cpu()
    seen = load(_for(orders, spell.open, rate=RATE))
    wanted = round(RATE * spell.open)
    report.add("open_loop_rate", RATE, "/s", note=f"for {spell.open:g} s")
    missing = max(0, wanted - len(seen.milliseconds) - round(RATE * 0.01))
    report.add("open_loop_not_accepted", missing, "", goal=("==", 0.0), note=f"of {wanted:,}")
    for share in (0.5, 0.99, 0.999):
        goal = ("<=", 30.0) if share == 0.99 else None
        value = percentile(seen.milliseconds, share)
        report.add(f"open_loop_p{share * 100:g}", value, "ms", goal=goal)
    report.add("open_loop_cpu", (server.cpu() - cpu) / spell.open * 100, "% of a core")
    server.end()


def crash(report: Report, site: Site, spell: Spell) -> None:
    """The database is killed under load and comes back: nothing accepted is lost, nobody hangs."""
    server, port = site.serve(OURS)
    orders = Orders(port=port, path=PATH, token=site.token, body=REQUEST, connections=128)
    load(_for(orders, 1.0, rate=500.0))
    found: list[Seen] = []
    orders = _for(orders, spell.crash, rate=4_000.0, keep_ids=True)
    loading = threading.Thread(target=lambda: found.append(load(orders)))
    loading.start()
    time.sleep(spell.crash / 3)
    site.crash_postgres()
    time.sleep(1)
    site.start_postgres()
    loading.join()
    (seen,) = found
    report.add("crash_accepted", len(seen.ids), "", note="at 4,000/s, SIGQUIT to PostgreSQL")
    report.add("crash_refused", len(seen.refused_milliseconds), "", note=str(seen.statuses))
    report.add(
        "crash_lost",
        _lost(seen.ids),
        "",
        goal=("==", 0.0),
        note="task, event, step or arrival, audit",
    )
    slowest = max([*seen.milliseconds, *seen.refused_milliseconds], default=0.0)
    report.add("crash_slowest", slowest / 1000, "s", goal=("<=", 5.0), note="accepted or refused")
    report.add("crash_unanswered", seen.unanswered + seen.cut, "", goal=("==", 0.0))
    again = load(_for(orders, 1.0, rate=500.0))
    refused = sum(again.statuses.values()) - len(again.milliseconds)
    report.add("crash_refused_after", refused, "", goal=("==", 0.0), note="recovered by itself")
    server.end()


def _for(orders: Orders, seconds: float, **more: Any) -> Orders:
    return replace(orders, seconds=seconds, **more)


_KEPT = """
    SELECT count(*) FROM agents_task task
    JOIN agents_event event ON event.task_id = task.id AND event.seq = 1
    WHERE task.id = ANY(%s)
    AND (EXISTS (SELECT FROM agents_step step WHERE step.task_id = task.id)
      OR EXISTS (SELECT FROM agents_arrival arrival WHERE arrival.task_id = task.id))
    AND task.id::text IN (
      SELECT object_id FROM projects_auditentry WHERE action = 'task.submitted'
      UNION SELECT jsonb_array_elements_text(detail->'and') FROM projects_auditentry
      WHERE action = 'task.submitted' AND detail ? 'and')
"""


def _lost(ids: list[str]) -> int:
    """Return how many accepted requests have not all of their rows."""
    from django.db import connection

    connection.close()
    with connection.cursor() as cursor:
        cursor.execute(_KEPT, [ids])
        return len(set(ids)) - int(cursor.fetchone()[0])


def durable(report: Report) -> None:
    """Say that commits are flushed: without it every figure here would be another."""
    from django.db import connection

    settings = ("fsync", "synchronous_commit", "full_page_writes")
    with connection.cursor() as cursor:
        for name in settings:
            cursor.execute(f"SHOW {name}")
            on = cursor.fetchone()[0] == "on"
            report.add(f"postgres_{name}", float(on), "", goal=("==", 1.0), note="1: on")


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    spell = QUICK if chosen.quick else WHOLE
    report = Report("intake")
    with Site() as site:
        durable(report)
        closed(report, site, spell)
        textbook(report, site, spell)
        open_loop(report, site, spell)
        crash(report, site, spell)
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
