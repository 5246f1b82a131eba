"""Creates what ships with Countersign and is not there yet; never touches what an admin changed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from agents.models import Agent, AgentVersion, Grant, ModelProfile, Tool, ToolServer
from agents.models.tools import Transport
from agents.roster import ROSTER
from agents.workspace.server import definitions

if TYPE_CHECKING:
    from agents.roster import Seed
    from agents.workspace.server import Definition

WORKSPACE = "workspace"
_PROFILES = ("fast", "strong")


def seed_agents() -> list[str]:
    """Create the missing profiles, tools and agents; returns the slugs of new agents.

    Twice: nothing happens. An agent that was deleted comes back, a disabled one stays disabled.
    """
    with transaction.atomic():
        profiles = {slug: _profile(slug) for slug in _PROFILES}
        tools = _tools()
        return [seed.slug for seed in ROSTER if _agent(seed, profiles, tools)]


def _profile(slug: str) -> ModelProfile:
    # No model: what COUNTERSIGN_MODEL says. An admin may name another one per profile.
    return ModelProfile.objects.get_or_create(slug=slug)[0]


def _tools() -> dict[str, Tool]:
    server, _ = ToolServer.objects.get_or_create(
        slug=WORKSPACE, defaults={"name": "Workspace", "transport": Transport.BUNDLED}
    )
    for definition in definitions():
        Tool.objects.get_or_create(
            server=server,
            name=definition.name,
            defaults={
                "description": definition.description,
                "input_schema": definition.input_schema,
                "read_only": definition.read_only,
                "idempotent": definition.idempotent,
                "definition_digest": _digest(definition),
            },
        )
    return {tool.name: tool for tool in server.tools.all()}


def _digest(definition: Definition) -> str:
    """Pin a tool by what a model is told of it."""
    told = [definition.name, definition.description, definition.input_schema]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _agent(seed: Seed, profiles: dict[str, ModelProfile], tools: dict[str, Tool]) -> bool:
    agent, created = Agent.objects.get_or_create(
        slug=seed.slug,
        defaults={
            "name": seed.name,
            "role": seed.role,
            "description": seed.description,
            "colour": seed.colour,
            "icon": seed.icon,
        },
    )
    if not agent.versions.exists():
        _publish(agent, seed, profiles[seed.model_profile])
    if created:  # later, an admin decides what an agent may use
        Grant.objects.bulk_create(
            Grant(agent=agent, tool=tools[name], paths=seed.globs(name)) for name in seed.tools
        )
    return created


def _publish(agent: Agent, seed: Seed, profile: ModelProfile) -> None:
    AgentVersion.objects.create(
        agent=agent,
        number=1,
        instructions=seed.prompt,
        model_profile=profile,
        max_turns=seed.max_turns,
        max_tool_calls=seed.max_tool_calls,
        max_tokens=seed.max_tokens,
        max_seconds=seed.max_seconds,
        published_at=Now(),
    )
