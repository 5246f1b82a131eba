"""One of everything a page of the console shows, and the addresses of all those pages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.utils import timezone

from agents.lifecycle import StepState
from agents.models import Hunk, Step
from approvals import absences, policies
from approvals.decisions import HunkDecision, LineComment
from approvals.models import SavedView
from approvals.policies import Rule
from memory.models import Memory
from notices import moments
from notices.models import Kind, Notice, Notification
from projects.models import Project, User
from tests import console_fixtures as fixtures
from tests import delegation_fixtures
from tests.payloads.linked import link
from tests.reviewing import decide
from tests.routes.asking import address_of, routes
from tests.routes.table import CONSOLE, rows
from tests.routes.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.models import Task

_DOCS, _INVOICE = "docs/rounding.md", "billing/invoice.py"


def make_everything() -> tuple[World, list[str]]:
    """Return a world with one row for each part of a page, and every page its lead may open."""
    world = make_world()
    project = Project.objects.get(slug="acme")
    people = {each.username: each for each in User.objects.all()}
    lead, requester = people["lead"], people["requester"]
    delegation_fixtures.asking_task(project, requester)
    fixtures.running_task(project, requester)
    report = fixtures.reported_task(project, requester, report="## Found\n\nIt is *rounded* twice.")
    talked = _second_round(project, requester, lead)
    memory = fixtures.make_lesson(project, lead)
    fixtures.use_lesson(memory, talked)
    _tell(talked.task, lead)
    now, day = timezone.now(), timedelta(days=1)
    stands_in = {project.pk: people["second"].pk}
    absences.leave(lead, begins_at=now - day, ends_at=now + day, delegates=stands_in)
    world.names |= {"talked": talked.task.number, "report": report.task.number, "memory": memory.pk}
    policies.change(project, by=lead, rules=[Rule(name="Refunds", risks=["high"])])
    linked = link(world, project, requester, lead)
    return world, [*_declared(world), *_more(world), *linked]


def _declared(world: World) -> Iterator[str]:
    """Yield each page of the console that is declared, so that a new one is among them."""
    patterns = dict(routes())
    for row in rows(CONSOLE):
        if "GET" in row["method"] and row["lead"] in {"page", "400"}:
            yield address_of(patterns[f"console:{row['route']}"], row["of"], world)


def _more(world: World) -> Iterator[str]:
    names = world.names
    for number in (names["talked"], names["report"], names["approved"], names["stopped"]):
        yield from (
            f"/tasks/T-{number}",
            f"/tasks/T-{number}?tab=events",
            f"/tasks/T-{number}/trace",
        )
    yield from (f"/review/T-{names['talked']}/r{number}" for number in (1, 2))
    yield f"/review/T-{names['talked']}/r2?since=all"
    yield from (f"/review/T-{names[name]}/r1" for name in ("report", "approved", "expired", "easy"))
    for tab in ("with-agents", "snoozed", "decided"):
        yield f"/inbox?tab={tab}"
    for name in ("reviewed_id", "easy_id"):
        yield f"/inbox?at={names[name]}"
    yield f"/inbox?view={SavedView.objects.get(pk=names['view']).pk}"
    picked = urlencode({"pick": [names["easy_id"], names["reviewed_id"]]}, doseq=True)
    yield f"/inbox/selected?{picked}"
    yield f"/calls/{names['call']}/live?shown=allowed"
    yield "/standing-grants?tab=ended"
    yield from (f"/memory?state={state}" for state in ("active", "proposed"))
    yield f"/memory?edit={Memory.objects.get(pk=names['memory']).pk}"
    yield "/jump?q=rounding"


def _second_round(project: Project, requester: User, lead: User) -> fixtures.Made:
    """Return a task that was sent back with remarks, which its agent answered, in its second round."""
    made = fixtures.reviewed_task(project, requester)
    hunks = {
        path: str(Hunk.objects.get(file__proposal=made.proposal, file__path=path).pk)
        for path in (_DOCS, _INVOICE)
    }
    said = [
        LineComment(hunk=hunks[_INVOICE], side="new", line=88, note="Cover this."),
        LineComment(hunk=hunks[_DOCS], side="new", line=3, note="Not the hidden one."),
    ]
    refused = [HunkDecision(id=hunks[_DOCS], verdict="refuse", note="Say it plainly.")]
    facts: dict[str, Any] = {"verdict": "request_changes", "comments": said, "hunks": refused}
    seal = {"digest": made.approval.digest, "nonce": made.approval.nonce}
    decide(made.approval.pk, by=lead, **seal, **facts)
    answer = {"number": 1, "verdict": "disagree", "text": "It is covered."}
    result = {"version": 1, "status": "done", "summary": "Done.", "answers": [answer]}
    again = Step.objects.filter(task=made.task, round=2, agent__slug="coder")
    again.update(state=StepState.DONE, result=result)
    made.task.steps.filter(round=2).exclude(state=StepState.DONE).delete()
    return fixtures.next_round(made)


def _tell(task: Task, lead: User) -> None:
    told = (
        (moments.DECIDED, {"verdict": "approve", "by": "Mira Okafor"}),
        (moments.FINISHED, {"state": "cancelled", "by": "Mira Okafor"}),
        (moments.ASSIGNED, {"by": "Mira Okafor"}),
    )
    for at, (kind, facts) in enumerate(told, start=2):
        notice = Notice.objects.create(
            type=kind,
            kind=Kind.OUTCOME,
            project=task.project,
            task=task,
            event=at,
            at=timezone.now(),
            facts=facts,
        )
        Notification.objects.create(notice=notice, person=lead, project=task.project)
