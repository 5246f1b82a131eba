"""Agents and tasks of the runtime tests, made as rows: no model, no repository."""

from __future__ import annotations

import pytest
from django.utils import timezone

from agents.messages import Plan, PlanStep
from agents.models import Agent, AgentRole, AgentVersion, ModelProfile, Task


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
    from agents.intake import submit

    return submit(project=project, requester=requester, request="Fix the billing bug").task


def plan_step(key: str, agent: str = "coder", *needs: str) -> PlanStep:
    return PlanStep(
        id=key, agent=agent, title=f"Do {key}", instructions="Go.", depends_on=list(needs)
    )


def make_plan(*steps: PlanStep, outcome: str = "change") -> Plan:
    return Plan(title="Fix it", outcome=outcome, steps=list(steps))
