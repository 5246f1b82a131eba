"""How an agent changes: a draft is made from a version, edited, and published for good."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from agents.models import Agent, AgentVersion
from projects import audit
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from projects.models import User

COPIED = (
    "instructions",
    "model_profile",
    "max_turns",
    "max_tool_calls",
    "max_tokens",
    "max_usd",
    "max_seconds",
)


def draft_of(agent: Agent) -> AgentVersion | None:
    """Return the version that is being written, if there is one."""
    return agent.versions.filter(published_at=None).order_by("-number").first()


def next_number(agent: Agent) -> int:
    """Return the number a new draft gets."""
    last = agent.versions.order_by("-number").values_list("number", flat=True).first()
    return (last or 0) + 1


def draft_from(version: AgentVersion, *, by: User, address: str | None = None) -> AgentVersion:
    """Copy a version into a new draft; one draft at a time. Locks the agent."""
    with transaction.atomic():
        agent = Agent.objects.select_for_update().get(pk=version.agent_id)
        if found := draft_of(agent):
            raise TransitionRefused(
                f"{agent} already has a draft, v{found.number}. Edit, publish or delete it first."
            )
        draft = AgentVersion.objects.create(
            agent=agent,
            number=next_number(agent),
            **{name: getattr(version, name) for name in COPIED},
        )
        audit.record(
            "agentversion.drafted",
            subject=draft,
            actor=by,
            address=address,
            agent=agent.slug,
            number=draft.number,
            copied_from=version.number,
        )
    return draft


def publish(version: AgentVersion, *, by: User, address: str | None = None) -> None:
    """Make a draft what new tasks get; tasks under way keep theirs. Never undone, only followed."""
    with transaction.atomic():
        Agent.objects.select_for_update().get(pk=version.agent_id)
        found = AgentVersion.objects.filter(pk=version.pk, published_at=None)
        if not found.update(published_at=timezone.now(), published_by=by):
            raise TransitionRefused(f"{version} is published already or gone.")
        version.refresh_from_db()
        audit.record(
            "agentversion.published",
            subject=version,
            actor=by,
            address=address,
            agent=version.agent.slug,
            number=version.number,
        )


def differences(old: AgentVersion, new: AgentVersion) -> str:
    """Return what the newer version says otherwise, as a unified diff of the instructions."""
    lines = [
        f"{name}: {getattr(old, name)} -> {getattr(new, name)}"
        for name in COPIED[1:]
        if getattr(old, name) != getattr(new, name)
    ]
    lines += difflib.unified_diff(
        old.instructions.splitlines(),
        new.instructions.splitlines(),
        f"v{old.number}",
        f"v{new.number}",
        lineterm="",
    )
    return "\n".join(lines)
