"""What ships is created once and belongs to the admin afterwards."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from django.utils import timezone

from agents import seeding
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


def _of_an_earlier_release(slug: str, prompt: str, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """Let an agent be as a release before ask_agent left it, with limits of an admin's own."""
    seed_agents()
    agent = Agent.objects.get(slug=slug)
    agent.versions.all().delete()
    Tool.objects.filter(name="ask_agent").delete()
    profile = ModelProfile.objects.create(slug="mine")
    facts = {"model_profile": profile, "max_turns": 7, "instructions": prompt}
    AgentVersion.objects.create(agent=agent, number=3, published_at=timezone.now(), **facts)
    AgentVersion.objects.create(agent=agent, number=4, **facts)  # an admin's draft
    earlier = hashlib.sha256(b"Do it as in 1.0.").hexdigest()
    seeds = [
        dataclasses.replace(seed, earlier=(earlier,)) if seed.slug == slug else seed
        for seed in ROSTER
    ]
    monkeypatch.setattr(seeding, "ROSTER", seeds)
    return agent


def test_prompt_of_an_earlier_release_is_followed_by_the_new_one(monkeypatch) -> None:
    coder = _of_an_earlier_release("coder", "Do it as in 1.0.", monkeypatch)
    assert seed_agents() == []
    new = coder.published()
    assert (new.number, new.max_turns, new.model_profile.slug) == (5, 7, "mine")
    assert "ask_agent" in new.instructions
    assert coder.grants.filter(tool__name="ask_agent").exists()
    seed_agents()
    assert coder.published() == new


def test_prompt_that_an_admin_wrote_stays(monkeypatch) -> None:
    coder = _of_an_earlier_release("coder", "Do it my way.", monkeypatch)
    seed_agents()
    assert coder.published().number == 3


def test_tool_that_an_admin_took_away_stays_away() -> None:
    seed_agents()
    Grant.objects.filter(tool__name="ask_agent", agent__slug="tester").delete()
    seed_agents()
    slugs = Grant.objects.filter(tool__name="ask_agent").values_list("agent__slug", flat=True)
    assert set(slugs) == {"coder", "tech-writer"}
