"""The whole rehearsal through the real runtime: request, two rounds, and a request it cannot play."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from django.db import transaction

from agents import rounds
from agents.intake import submit
from agents.models import Claim, Escalation, Proposal, Step, Task
from agents.models.tasks import Rule
from agents.runtime.database import in_db
from agents.runtime.loop import Runtime
from agents.runtime.performing import perform
from agents.workspace.demo import SCENARIO
from tests.integration.test_rehearsal import demo

__all__ = ["demo"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def billing(demo, project, requester, lead):
    """Make requester and lead members of the demo project."""
    for person in (requester, lead):
        membership = person.memberships.get()
        membership.project = demo
        membership.save()
    return demo


@contextlib.asynccontextmanager
async def running():
    runtime = Runtime(perform=perform, owner="here")
    task = asyncio.create_task(runtime.run())
    try:
        yield
    finally:
        runtime.drain()
        await asyncio.wait_for(task, 30)


async def until(task: Task, *states: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        now = await in_db(lambda: Task.objects.get(pk=task.pk))
        if now.state in states:
            return
        stuck = await in_db(lambda: list(Escalation.objects.values_list("rule", "detail")))
        assert now.state != "needs_human", stuck
        assert time.monotonic() < deadline, now.state
        await asyncio.sleep(0.1)


def verdicts(task: Task, round_: int) -> dict[str, str]:
    claims = Claim.objects.filter(proposal__task=task, proposal__round=round_)
    return {claim.text: claim.verdict for claim in claims}


async def test_the_story_goes_through_two_rounds(billing, requester, lead) -> None:
    task = (
        await in_db(lambda: submit(project=billing, requester=requester, request=SCENARIO.example))
    ).task
    async with running():
        await until(task, "review")
        first = await in_db(verdicts, task, 1)
        assert first.pop(f"The docs no longer say “{SCENARIO.search}”.") == "contradicted"
        assert set(first.values()) == {"proven"}
        assert len(first) >= 3
        proposal = await in_db(lambda: Proposal.objects.get(task=task))
        assert proposal.model == "rehearsal"
        assert any(warning.get("line") == 12 for warning in proposal.warnings)

        def send_back() -> None:
            asked = rounds.Feedback(
                agent_slug="tech-writer",
                note="Line 12 still says half up.",
                hunk=None,
                path="docs/rounding.md",
                by=lead.display_name,
            )
            with transaction.atomic():
                rounds.open_next(Task.objects.get(pk=task.pk), feedback=[asked], by=lead)

        await in_db(send_back)
        await until(task, "review")
    second = await in_db(verdicts, task, 2)
    assert set(second.values()) == {"proven"}
    last = await in_db(lambda: Proposal.objects.get(task=task, round=2))
    assert not any(warning.get("line") == 12 for warning in last.warnings)
    used = await in_db(lambda: Task.objects.get(pk=task.pk))
    assert (used.input_tokens, used.output_tokens, used.usd, used.model_calls) == (0, 0, 0, 0)


async def test_any_other_request_ends_blocked_with_a_way_out(billing, requester) -> None:
    request = "Why are partial refunds rounded down?"
    task = (await in_db(lambda: submit(project=billing, requester=requester, request=request))).task
    async with running():
        deadline = time.monotonic() + 60
        while not await in_db(Escalation.objects.filter(task=task).exists):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    asked = await in_db(lambda: Escalation.objects.get(task=task))
    assert asked.rule == Rule.BLOCKED
    assert "No language model is configured" in asked.detail
    step = await in_db(lambda: Step.objects.get(task=task, kind="work"))
    assert step.result is None or step.result["status"] == "blocked"
