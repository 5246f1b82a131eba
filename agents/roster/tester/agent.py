"""The test agent's seed."""

from __future__ import annotations

from pathlib import Path

from agents.models.agents import AgentRole
from agents.roster.seed import READ_TOOLS, TEAM_TOOLS, WRITE_TOOLS, Seed

SEED = Seed(
    slug="tester",
    name="Test agent",
    role=AgentRole.SPECIALIST,
    description="Writes and mends automated tests for behaviour that exists or is being changed. "
    "Changes test files only.",
    colour="a-test",
    icon="flask",
    folder=Path(__file__).parent,
    max_turns=12,
    max_tool_calls=90,
    max_tokens=400_000,
    max_seconds=900,
    tools=(*READ_TOOLS, *WRITE_TOOLS, *TEAM_TOOLS, "run_checks"),
    write_globs=(
        "tests/**",
        "**/tests/**",
        "test/**",
        "spec/**",
        "test_*.py",
        "*_test.*",
        "*.test.*",
        "*.spec.*",
        "conftest.py",
    ),
    earlier=("f277e2ebb1559245ae58ccc800272308015f88cbd703ff9eae63fbeb8606d36c",),
)
