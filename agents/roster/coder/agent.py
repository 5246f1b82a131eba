"""The code agent's seed."""

from __future__ import annotations

from pathlib import Path

from agents.models.agents import AgentRole
from agents.roster.seed import READ_TOOLS, TEAM_TOOLS, WRITE_TOOLS, Seed

SEED = Seed(
    slug="coder",
    name="Code agent",
    role=AgentRole.SPECIALIST,
    description="Finds faults and changes the program: source code, configuration, build files. "
    "Not tests, not documentation.",
    colour="a-code",
    icon="code",
    folder=Path(__file__).parent,
    max_turns=12,
    max_tool_calls=90,
    max_tokens=400_000,
    max_seconds=900,
    tools=(*READ_TOOLS, *WRITE_TOOLS, *TEAM_TOOLS, "run_checks"),
    write_globs=("!docs/**", "!*.md", "!tests/**"),
    earlier=("4996945829ff74911b756a37fccec612a45f44212a28a429f7b7c45f74a8b281",),
)
