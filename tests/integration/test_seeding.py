"""What ships is created once and belongs to the admin afterwards."""

from __future__ import annotations

import pytest

from agents.models import Agent, AgentVersion, Grant, ModelProfile, Tool, ToolServer
from agents.roster import ROSTER
from agents.seeding import seed_agents

pytestmark = pytest.mark.django_db


def counts() -> list[int]:
    tables = (Agent, AgentVersion, Grant, ModelProfile, Tool, ToolServer)
    return [table.objects.count() for table in tables]


def test_seeding_creates_agents_with_published_versions_and_grants() -> None:
    assert seed_agents() == [seed.slug for seed in ROSTER]
    for seed in ROSTER:
        agent = Agent.objects.get(slug=seed.slug)
        assert agent.published().instructions == seed.prompt
        assert {grant.tool.name for grant in agent.grants.all()} == set(seed.tools)
    assert ModelProfile.objects.get(slug="fast").model == ""
    assert all(len(tool.definition_digest) == 64 for tool in Tool.objects.all())


def test_seeding_twice_changes_nothing() -> None:
    seed_agents()
    before = counts()
    assert seed_agents() == []
    assert counts() == before


def test_seeding_keeps_what_an_admin_changed() -> None:
    seed_agents()
    Agent.objects.filter(slug="coder").update(enabled=False, description="Mine.")
    ModelProfile.objects.filter(slug="strong").update(model="openai:mine")
    Grant.objects.filter(agent__slug="coder", tool__name="write_file").delete()
    Tool.objects.filter(name="run_checks").update(enabled=False)
    seed_agents()
    coder = Agent.objects.get(slug="coder")
    assert (coder.enabled, coder.description) == (False, "Mine.")
    assert ModelProfile.objects.get(slug="strong").model == "openai:mine"
    assert not coder.grants.filter(tool__name="write_file").exists()
    assert not Tool.objects.get(name="run_checks").enabled


def test_an_agent_that_was_deleted_comes_back_whole() -> None:
    seed_agents()
    Agent.objects.get(slug="tester").delete()
    assert seed_agents() == ["tester"]
    assert Agent.objects.get(slug="tester").grants.exists()
