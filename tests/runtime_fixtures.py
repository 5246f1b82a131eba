"""Agents and tasks of the runtime tests, made as rows: no model, no repository."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from agents.finishing import settle
from agents.intake import submit
from agents.messages import Plan, PlanStep, StepResult
from agents.models import Agent, AgentRole, AgentVersion, ModelProfile, Step, Task
from agents.runtime.claims import Claimed, claim
from agents.runtime.contract import Finished


def make_agent(slug: str, role: str = AgentRole.SPECIALIST, **limits: int) -> Agent:
    profile, _ = ModelProfile.objects.get_or_create(slug="strong")
    agent = Agent.objects.create(slug=slug, name=f"{slug.title()} agent", role=role)
    AgentVersion.objects.create(
        agent=agent,
        number=1,
        instructions="Do it.",
        model_profile=profile,
        published_at=timezone.now(),
        **limits,
    )
    return agent


@pytest.fixture
def agents(db) -> dict[str, Agent]:
    return {
        "router": make_agent("router", AgentRole.ROUTER),
        "coder": make_agent("coder"),
        "tester": make_agent("tester"),
        "tech-writer": make_agent("tech-writer"),
        "aggregator": make_agent("aggregator", AgentRole.AGGREGATOR),
    }


@pytest.fixture
def task(agents, project, requester) -> Task:
    return submit(project=project, requester=requester, request="Fix the billing bug").task


def plan_step(key: str, agent: str = "coder", *needs: str) -> PlanStep:
    return PlanStep(
        id=key, agent=agent, title=f"Do {key}", instructions="Go.", depends_on=list(needs)
    )


def make_plan(*steps: PlanStep, outcome: str = "change") -> Plan:
    return Plan(title="Fix it", outcome=outcome, steps=list(steps))


def claim_one(owner: str = "worker-a") -> Claimed:
    (claimed,) = claim(owner, limit=1)
    return claimed


def planned(task: Task, *steps: PlanStep, outcome: str = "change") -> None:
    """Route the task with this plan."""
    assert settle(claim_one().attempt, Finished(make_plan(*steps, outcome=outcome)))


def result(status: str = "done", summary: str = "Did it.") -> StepResult:
    return StepResult(status=status, summary=summary)


def expire_leases() -> None:
    """Let every lease run out, as if its worker had died long ago."""
    Step.objects.filter(state="leased").update(lease_until=Now() - timedelta(seconds=1))


def state_of(task: Task) -> str:
    return Task.objects.values_list("state", flat=True).get(pk=task.pk)


def states(task: Task) -> dict[str, str]:
    return dict(task.steps.order_by("round", "id").values_list("key", "state"))
