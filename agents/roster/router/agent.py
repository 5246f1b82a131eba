"""The router's seed."""

from __future__ import annotations

from pathlib import Path

from agents.models.agents import AgentRole
from agents.roster.seed import READ_TOOLS, Seed

SEED = Seed(
    slug="router",
    name="Router",
    role=AgentRole.ROUTER,
    description="Turns a request into a plan of steps for the specialists.",
    colour="a-router",
    icon="route",
    folder=Path(__file__).parent,
    model_profile="fast",
    max_turns=5,
    max_tool_calls=20,
    max_seconds=300,
    tools=READ_TOOLS,
)
