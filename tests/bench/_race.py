"""Rounds of a race: the same approval, eight tech leads, each at a connection of their own."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count
from django.db.models.functions import Now
from django.test import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from approvals.models import Approval
    from projects.models import Project, User

CLIENTS = 8
_FORM = "application/x-www-form-urlencoded"
_VERDICTS = {
    "approve": "approved",
    "reject": "rejected",
    "request_changes": "changes_requested",
}
_OVER = 409
# The rows were written as they are in review; no worker begins the next round of what is sent back.
_WITHOUT_STORY = {"task-fold", "step-fold", "task-stuck"}
_TOKEN = "c" * 32  # what the page's form carries, and the cookie too


@dataclass
class Outcome:
    """What came of all rounds."""

    rounds: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    not_one_winner: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    wrong: list[str] = field(default_factory=list)  # what rows and invariants say


def people(project: Project) -> tuple[User, list[User]]:
    """Return a requester and eight leads of the project."""
    from projects.models import Membership, Role, User

    requester = User.objects.create(username="race-requester")
    leads = [User.objects.create(username=f"race-lead-{number}") for number in range(CLIENTS)]
    Membership.objects.create(project=project, user=requester, role=Role.REQUESTER)
    for lead in leads:
        Membership.objects.create(project=project, user=lead, role=Role.LEAD)
    return requester, leads


def sealed(project: Project, requester: User, count: int) -> list[Approval]:
    """Write tasks in review with a report each, and seal them as the effects worker does."""
    from agents.models import Attempt, Proposal, Step, Task
    from approvals import sealing
    from approvals.models import Approval
    from tests.approval_fixtures import make_agent

    agent = make_agent("coder", "Code agent")
    make_agent("aggregator", "Aggregator", "aggregator")
    facts = {"request": "Where?", "title": "Say where", "state": "review", "model": "rehearsal"}
    told = {"request_digest": "0" * 64, "started_at": Now(), **facts}
    tasks = [
        Task.objects.create(project=project, requester=requester, **told) for _ in range(count)
    ]
    work = {"round": 1, "key": "look", "kind": "work", "state": "done", "attempt": 1}
    steps = Step.objects.bulk_create(
        Step(
            task=task,
            project=project,
            agent=agent,
            version=agent.published(),
            title="Look",
            finished_at=Now(),
            **work,
        )
        for task in tasks
    )
    over = {"number": 1, "worker": "race", "state": "finished"}
    Attempt.objects.bulk_create(Attempt(step=step, finished_at=Now(), **over) for step in steps)
    said = {"round": 1, "kind": "report", "title": "Where", "summary": "One.", "report": "There."}
    Proposal.objects.bulk_create(Proposal(task=task, model="rehearsal", **said) for task in tasks)
    while sealing.seal_ready():
        pass
    _anchor()
    found = Approval.objects.filter(task__in=[task.pk for task in tasks]).select_related("task")
    return list(found)


def _anchor() -> None:
    """Keep the end of the audit log as that worker does each minute: later it must be as it was."""
    from projects import anchoring

    newest = anchoring.newest()
    assert newest is not None
    settings.AUDIT_ANCHORS.parent.mkdir(parents=True, exist_ok=True)
    anchoring.keep(settings.AUDIT_ANCHORS, newest)


class Racer:
    """One lead's connection; every second one uses the API, one in eight the page's form."""

    def __init__(self, lead: User, port: int, number: int) -> None:
        client = Client()
        client.force_login(lead)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={session}; csrftoken={_TOKEN}"
        self.by_form = number == 0
        self.port = port
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def decide(self, approval: Approval, verdict: str) -> int:
        """Send a decision; return the status of the answer."""
        said = {
            "verdict": verdict,
            "digest": approval.digest,
            "nonce": approval.nonce,
            "note": "Because.",
        }
        if self.by_form:
            path = f"/review/T-{approval.task.number}/r1/decide"
            return self._post(path, urlencode({**said, "csrfmiddlewaretoken": _TOKEN}), _FORM)
        path = f"/api/v1/approvals/{approval.pk}/signatures"
        return self._post(path, json.dumps(said), "application/json")

    def _post(self, path: str, body: str, kind: str) -> int:
        headers = {"Cookie": self.cookie, "Content-Type": kind, "X-CSRFToken": _TOKEN}
        self._line.request("POST", path, body, headers)
        answer = self._line.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        """Hang up."""
        self._line.close()


def run(approvals: Sequence[Approval], leads: Sequence[User], port: int) -> Outcome:
    """Race for each approval; every lead asks something else in turn. Return what came of it."""
    outcome, began = Outcome(rounds=len(approvals)), time.perf_counter()
    racers = [Racer(lead, port, number) for number, lead in enumerate(leads)]
    gate = threading.Barrier(len(racers))

    def at_once(job: tuple[Racer, Approval, str]) -> int:
        racer, approval, verdict = job
        gate.wait(120)
        return racer.decide(approval, verdict)

    turns = itertools.cycle(_VERDICTS)
    with ThreadPoolExecutor(len(racers)) as pool:
        for approval in approvals:
            said = time.perf_counter()
            jobs = [(racer, approval, next(turns)) for racer in racers]
            statuses = list(pool.map(at_once, jobs))
            outcome.slowest_ms = max(outcome.slowest_ms, (time.perf_counter() - said) * 1000)
            outcome.answers.update(statuses)
            outcome.not_one_winner += statuses.count(_OVER) != len(racers) - 1 or not _won(statuses)
    outcome.seconds = time.perf_counter() - began
    for racer in racers:
        racer.close()
    outcome.wrong = [*_miscounted(approvals), *_broken()]
    return outcome


def _won(statuses: Sequence[int]) -> bool:
    """Tell whether one was answered as who decides: 201 by the API, sent on by the page."""
    return sum(status in {201, 302} for status in statuses) == 1


def _miscounted(approvals: Sequence[Approval]) -> list[str]:
    """Return of which approvals the rows do not say exactly one decision."""
    from agents.events import Kind
    from agents.models import Event
    from approvals.models import Approval, Signature
    from projects.models import AuditEntry

    keys = [approval.pk for approval in approvals]
    decided = Approval.objects.filter(pk__in=keys, state__in=_VERDICTS.values())
    verdicts = [f"approval.{verdict}" for verdict in _VERDICTS]
    counted: dict[str, Callable[[], object]] = {
        "signatures": lambda: _once(Signature.objects.filter(approval__in=keys), "approval"),
        "audit entries": lambda: _once(
            AuditEntry.objects.filter(object_id__in=map(str, keys), action__in=verdicts),
            "object_id",
        ),
        "events": lambda: _once(
            Event.objects.filter(
                task__in=[approval.task_id for approval in approvals], kind=Kind.APPROVAL_DECIDED
            ),
            "task",
        ),
    }
    found = {what: count() for what, count in counted.items()} | {"decided": decided.count()}
    return [f"{what}: {count}" for what, count in found.items() if count != len(approvals)]


def _once(rows: object, of: str) -> int:
    """Count those that have exactly one row."""
    return rows.values(of).annotate(n=Count("pk")).filter(n=1).count()  # type: ignore[attr-defined]


def _broken() -> list[str]:
    from countersign import invariants

    found = (each for each in invariants.verify() if each.check.name not in _WITHOUT_STORY)
    wrong = (each for each in found if not each.holds)
    return [f"{each.check.name}: {each.fault or each.found.count}" for each in wrong]
