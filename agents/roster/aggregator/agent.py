"""The aggregator's seed."""

from __future__ import annotations

from pathlib import Path

from agents.models.agents import AgentRole
from agents.roster.seed import READ_TOOLS, Seed

SEED = Seed(
    slug="aggregator",
    name="Aggregator",
    role=AgentRole.AGGREGATOR,
    description="Makes one proposal of everybody's work for the person who signs.",
    colour="a-agg",
    icon="layers",
    folder=Path(__file__).parent,
    max_turns=5,
    max_tool_calls=20,
    max_seconds=300,
    tools=READ_TOOLS,
)
