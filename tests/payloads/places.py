"""Puts a text into every place where a page shows what agents, tools, repositories and people wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Value

from agents import notes
from agents.lifecycle import TaskState
from agents.models import Agent, Escalation, Step
from approvals import sealing
from projects.models import Project, User
from tests import console_fixtures as fixtures
from tests.approval_fixtures import GREEN

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORT, _NAME, _NOTE = 180, 80, 4000


def fill(project: Project, requester: User, lead: User, texts: Sequence[str]) -> list[str]:
    """Write a task at work, one in review, one that asks and a lesson; return the pages of them."""
    joined = " ".join(texts)
    name, short = joined[:_NAME], joined[:_SHORT]
    running = fixtures.running_task(project, requester, title=short)
    _write_team(running, texts)
    notes.add_note(running.task, text=joined[:_NOTE], by=requester)
    stopped = fixtures.stopped_task(project, requester)
    Escalation.objects.filter(task=stopped.task).update(detail=Value("\n".join(texts)))
    reviewed = _reviewed(project, requester, texts)
    fixtures.make_lesson(project, lead, state="proposed", content="\n".join(texts)[:600])
    Project.objects.filter(pk=project.pk).update(name=Value(name))
    User.objects.filter(pk=requester.pk).update(first_name=Value(name), last_name="")
    Agent.objects.filter(slug="coder").update(name=Value(name), description=Value(short))
    task, asking = running.task.number, stopped.task.number
    return [
        *("/tasks", "/inbox", "/inbox?tab=with-agents", "/memory", "/operations", "/new"),
        *(f"/tasks/T-{task}", f"/tasks/T-{task}/live", f"/tasks/T-{task}/trace"),
        *(f"/tasks/T-{asking}", f"/review/T-{reviewed}/r1", f"/tasks/T-{reviewed}"),
        *("/jump?q=T-", "/settings"),
    ]


def _write_team(made: fixtures.Made, texts: Sequence[str]) -> None:
    coder = made.steps["coder"]
    for text in texts:
        fixtures.say(coder, text)
        # Arguments, result and the tool's own name are the agent's and the server's words.
        fixtures.use_tool(coder, text[:_NAME], text[:_SHORT], path=text[:_SHORT], why=text[:_SHORT])
    Step.objects.filter(task=made.task).update(title=Value(" ".join(texts)[:_SHORT]))


def _reviewed(project: Project, requester: User, texts: Sequence[str]) -> int:
    joined, short = "\n\n".join(texts)[:30_000], " ".join(texts)[:_SHORT]
    task = fixtures.make_task(
        project, requester, state=TaskState.REVIEW, title=short, request=joined
    )
    steps = fixtures.make_team(task)
    said = {"title": short, "summary": joined}
    checks = {**GREEN, "command": short, "output_tail": joined, "failed": 1}
    proposal = fixtures.make_proposal(task, steps, checks=checks, **said)
    for position, text in enumerate(texts):
        line = text.replace("\n", " ")
        path = f"docs/{position}/{line[:_SHORT]}"
        hunk = f"-old\n+{line}\n"
        fixtures.make_file(proposal, position, path, hunk, steps["writer"])
        _claim(proposal, position, steps, text)
    sealing.seal(proposal)
    return task.number


def _claim(proposal, position, steps, text) -> None:
    from agents.models import Claim

    Claim.objects.create(
        proposal=proposal,
        position=position,
        step=steps["coder"],
        text=text[:300],
        verdict="contradicted",
        evidence=text[:300],
    )
