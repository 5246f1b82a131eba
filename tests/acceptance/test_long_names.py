"""Names as long as they may be, without a place to break at: no page gets wider than its screen."""

from __future__ import annotations

import uuid

import pytest

from agents.finishing import settle
from agents.lifecycle import TaskState, ToolCallState
from agents.models import Agent, Task, Tool, ToolCall
from agents.runtime.contract import Waits
from agents.seeding import seed_agents
from approvals import policies, sealing
from approvals.calls import sealing as call_sealing
from approvals.models import CallApproval
from approvals.standing.patterns import Kind, Pattern
from notices.models import Kind as Told
from projects.models import Project, User
from tests import console_fixtures as fixtures
from tests import notice_fixtures, standing_fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.live_house import signed_in
from tests.call_fixtures import make_tool, working_step
from tests.reviewing import decide

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

# What is wider than its page, from the outside in.
WIDER = """() => [...document.querySelectorAll("body *")]
  .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
  .slice(0, 12).map((node) => `${node.tagName}.${node.className}`)"""


def long(letter: str, length: int) -> str:
    return letter * length


def write(project, requester, lead, second_lead):
    """Write a row for each name a page shows; return the pages."""
    _name(project, requester, lead, second_lead)
    reviewed = _reviewed(project, requester, lead)
    again = _sent_back(reviewed, lead)
    running = fixtures.running_task(project, requester, title=long("t", 200))
    fixtures.use_tool(running.steps["coder"], long("u", 120), long("s", 300), path=long("p", 300))
    call, grant = _calls(project, requester, lead)
    notice_fixtures.read_all()
    return [
        f"/review/{reviewed.task.label}/r1",
        f"/review/{again.task.label}/r2?spaces=fold",
        "/inbox",
        f"/inbox?at={again.approval.pk}",
        "/inbox?tab=decided",
        "/inbox?tab=with-agents",
        f"/calls/{call.pk}",
        f"/projects/{project.pk}/policy",
        "/standing-grants",
        f"/standing-grants/{grant.pk}",
        f"/tasks/{running.task.label}",
        f"/tasks/{running.task.label}?view=list&tab=events",
        f"/tasks/{reviewed.task.label}",
        f"/tasks/{running.task.label}/trace",
        "/tasks",
        "/notifications",
        "/operations",
        "/admin/notices/delivery/",
    ]


def _name(project, *people) -> None:
    seed_agents()
    Project.objects.filter(pk=project.pk).update(name=long("o", 120), main_branch=long("b", 200))
    for person, letter in zip(people, "MDR", strict=True):
        User.objects.filter(pk=person.pk).update(first_name=long(letter, 150), last_name="")
    User.objects.filter(pk=people[1].pk).update(is_staff=True, is_superuser=True)
    for agent in Agent.objects.all():
        Agent.objects.filter(pk=agent.pk).update(name=f"{agent.slug}{long('a', 60)}"[:80])


def _reviewed(project, requester, lead) -> fixtures.Made:
    merges = policies.Rule(
        name=long("W", 80), kinds=["git.merge"], signatures_needed=2, signers=[lead]
    )
    calls = policies.Rule(name=long("V", 80), kinds=["mcp.call"], expires_hours=24)
    policies.change(project, by=lead, rules=[merges, calls])
    notice_fixtures.make_webhook(
        project, "http://127.0.0.1:1/", name=long("h", 80), kinds=Told.values
    )
    task = fixtures.make_task(project, requester, state=TaskState.REVIEW, title=long("t", 200))
    steps = fixtures.make_team(task)
    return _proposed(fixtures.Made(task=task, steps=steps))


def _proposed(made: fixtures.Made) -> fixtures.Made:
    path = long("p", 296) + ".ts"
    warning = {"kind": "outside_plan", "path": path, "line": None, "text": long("w", 200)}
    made.proposal = fixtures.make_proposal(made.task, made.steps, warnings=[warning])
    for position, name in enumerate((path, f"{long('d', 150)}/{long('f', 145)}.md")):
        text = f" {long('x', 400)}\n-  {long('y', 400)}\n+{long('y', 400)}\n"
        fixtures.make_file(made.proposal, position, name, text, made.steps["coder"])
    fixtures.make_claims(made.proposal, made.steps)
    made.approval = sealing.seal(made.proposal)
    return made


def _sent_back(made: fixtures.Made, lead) -> fixtures.Made:
    other = fixtures.make_task(
        made.task.project, made.task.requester, state=TaskState.REVIEW, title=long("t", 200)
    )
    first = _proposed(fixtures.Made(task=other, steps=fixtures.make_team(other)))
    seal = {"digest": first.approval.digest, "nonce": first.approval.nonce}
    decide(first.approval.pk, by=lead, verdict="request_changes", note=long("n", 900), **seal)
    Task.objects.filter(pk=other.pk).update(round=2, state=TaskState.REVIEW)
    other.refresh_from_db()
    return _proposed(fixtures.Made(task=other, steps=first.steps))


def _calls(project, requester, lead):
    tool = make_tool()
    Tool.objects.filter(pk=tool.pk).update(name=long("k", 100))
    standing_fixtures.let_any(project, lead)
    waiting, allowed = (_call(project, requester, letter) for letter in "ij")
    prefix = {"invoice": Pattern(kind=Kind.PREFIX, value=long("j", 200))}
    return waiting, standing_fixtures.remembered(allowed, lead, widened=prefix)


def _call(project, requester, letter: str) -> CallApproval:
    step = working_step(project, requester)
    step.task.record("message", {"from": "agent", "turn": 1, "text": long("m", 900)}, step=step)
    call = ToolCall.objects.create(
        attempt=step.attempts.get(),
        response=0,
        call_id=uuid.uuid4().hex,
        server="pay",
        tool=f"pay__{long('k', 100)}",
        arguments={"invoice": long(letter, 300), "cents": 900},
        fingerprint="f" * 64,
        state=ToolCallState.WAITING,
    )
    assert settle(step.attempts.get(), Waits())
    call_sealing.seal_waiting()
    return CallApproval.objects.get(call=call)


def test_no_page_scrolls_sideways(house, browser, project, requester, lead, second_lead):
    paths = house.write(write, project, requester, lead, second_lead)
    wide = []
    for width in (390, 1440):
        context = signed_in(house, browser, lead, viewport={"width": width, "height": 900})
        page = context.new_page()
        for path in paths:
            answer = page.goto(path)
            if not answer or answer.status != 200:
                wide.append((width, path, "is not answered"))
            if page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
                wide.append((width, path, page.evaluate(WIDER)))
        context.close()
    assert wide == [], "\n".join(map(str, wide))
