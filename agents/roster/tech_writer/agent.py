"""The tech writer's seed."""

from __future__ import annotations

from pathlib import Path

from agents.models.agents import AgentRole
from agents.roster.seed import READ_TOOLS, TEAM_TOOLS, WRITE_TOOLS, Seed

SEED = Seed(
    slug="tech-writer",
    name="Tech writer",
    role=AgentRole.SPECIALIST,
    description="Writes and corrects documentation: docs folder, READMEs and other markdown, the "
    "changelog. Changes no program and no tests.",
    colour="a-docs",
    icon="book",
    folder=Path(__file__).parent,
    max_turns=8,
    max_tool_calls=60,
    max_tokens=250_000,
    tools=(*READ_TOOLS, *WRITE_TOOLS, *TEAM_TOOLS),
    write_globs=("docs/**", "*.md", "CHANGELOG"),
    earlier=("6227d681a9993a40bb2ac06cc5406c42713a9ad9e6469f003cf67e63a7fe7178",),
)
