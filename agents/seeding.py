"""Creates what ships with Countersign and is not there yet; never touches what an admin changed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models.functions import Now

from agents import delegating, team
from agents.models import Agent, AgentVersion, Grant, ModelProfile, Tool, ToolServer
from agents.models.tools import Transport
from agents.roster import ROSTER
from agents.workspace import server as workspace
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    from agents.roster import Seed
    from agents.workspace.server import Definition

WORKSPACE = "workspace"
_PROFILES = ("fast", "strong")
_PORT = re.compile(r"(?<=^http://127\.0\.0\.1):\d{1,5}(?=/)")
# What an admin may have set on an agent whose prompt is still ours.
_KEPT = ("model_profile", "max_turns", "max_tool_calls", "max_tokens", "max_usd", "max_seconds")


def seed_agents() -> list[str]:
    """Create the missing profiles, tools and agents; returns the slugs of new agents.

    Twice: nothing happens. An agent that was deleted comes back, a disabled one stays disabled. Of
    a later release an agent gets the new prompt, unless an admin wrote another, and the new tools.
    """
    with transaction.atomic():
        profiles = {slug: _profile(slug) for slug in _PROFILES}
        old = set(Tool.objects.values_list("server__slug", "name"))
        tools = _tools()
        new = {name for name, tool in tools.items() if (tool.server.slug, name) not in old}
        return [seed.slug for seed in ROSTER if _agent(seed, profiles, tools, new)]


def _profile(slug: str) -> ModelProfile:
    # No model: what COUNTERSIGN_MODEL says. An admin may name another one per profile.
    return ModelProfile.objects.get_or_create(slug=slug)[0]


def _tools() -> dict[str, Tool]:
    servers = (
        (WORKSPACE, "Workspace", workspace.definitions()),
        (delegating.SERVER, "Other agents", team.definitions()),
    )
    found = [tool for served in servers for tool in _served(*served)]
    return {tool.name: tool for tool in found}


def _served(slug: str, name: str, definitions: list[Definition]) -> list[Tool]:
    server, _ = ToolServer.objects.get_or_create(
        slug=slug, defaults={"name": name, "transport": Transport.BUNDLED}
    )
    for each in definitions:
        Tool.objects.get_or_create(server=server, name=each.name, defaults=_pinned(each))
    return list(server.tools.select_related("server"))


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A server over HTTP with what it says of its tools."""

    slug: str
    name: str
    target: str
    definitions: list[Definition]

    def was(self, server: ToolServer) -> bool:
        """Tell whether a server is this one, offered before: of its name, at its address, on any port."""
        facts = (server.slug, server.name, server.transport)
        at, before = (_PORT.sub("", target) for target in (self.target, server.target))
        return (*facts, before) == (self.slug, self.name, Transport.HTTP, at)


class NotThisServer(CountersignError):
    """Another tool server has this slug. Nothing was changed."""


def offer_outside(found: Outside, *, to: Agent) -> ToolServer:
    """Pin the tools of a server outside, switch it on and grant them to one agent.

    Twice: once more pinned as it is now. A tool an admin switched off stays off. Raises NotThisServer
    where the slug is another server's, of an admin for one.
    """
    with transaction.atomic():
        server = _placed(found)
        for each in found.definitions:
            tool, _ = Tool.objects.update_or_create(
                server=server, name=each.name, defaults=_pinned(each)
            )
            Grant.objects.get_or_create(agent=to, tool=tool)
    return server


def _placed(found: Outside) -> ToolServer:
    facts = {"name": found.name, "transport": Transport.HTTP, "target": found.target}
    # Held: what an admin makes of it meanwhile is not written over.
    held = ToolServer.objects.select_for_update()
    server, new = held.get_or_create(slug=found.slug, defaults={**facts, "enabled": True})
    if new:
        return server
    if not found.was(server):
        raise NotThisServer(
            f"“{server.name}”{f' at {server.target}' if server.target else ''} is a tool server with "
            f"the slug “{found.slug}”, and not this one. Nothing was changed. Where it is this one "
            f"after all, an admin names it “{found.name}” again and puts it at {found.target}, with "
            "any port, under Tool servers."
        )
    server.target, server.enabled = found.target, True
    server.save(update_fields=["target", "enabled"])
    return server


def _pinned(definition: Definition) -> dict[str, Any]:
    return {
        "description": definition.description,
        "input_schema": definition.input_schema,
        "read_only": definition.read_only,
        "idempotent": definition.idempotent,
        "definition_digest": _digest(definition),
    }


def _digest(definition: Definition) -> str:
    """Pin a tool by what a model is told of it."""
    told = [definition.name, definition.description, definition.input_schema]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _agent(
    seed: Seed, profiles: dict[str, ModelProfile], tools: dict[str, Tool], new: set[str]
) -> bool:
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
    elif (last := agent.published()) is not None and _is_ours(last, seed):
        _publish_again(last, seed)
    # Later, an admin decides what an agent may use: only a tool nobody could grant before is new.
    given = seed.tools if created else tuple(name for name in seed.tools if name in new)
    Grant.objects.bulk_create(
        [Grant(agent=agent, tool=tools[name], paths=seed.globs(name)) for name in given],
        ignore_conflicts=True,
    )
    return created


def _is_ours(last: AgentVersion, seed: Seed) -> bool:
    """Tell whether an agent still has, word for word, a prompt of an earlier release."""
    return hashlib.sha256(last.instructions.encode()).hexdigest() in seed.earlier


def _publish_again(last: AgentVersion, seed: Seed) -> None:
    """Publish the prompt of this release with the model and the limits the agent has now."""
    newest = last.agent.versions.order_by("-number").values_list("number", flat=True)[0]
    AgentVersion.objects.create(
        agent=last.agent,
        number=newest + 1,
        instructions=seed.prompt,
        published_at=Now(),
        **{name: getattr(last, name) for name in _KEPT},
    )


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
