"""The form of an agent that ships with Countersign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from agents.models import AgentRole

READ_TOOLS = ("list_files", "search_text", "read_file")
WRITE_TOOLS = ("edit_file", "replace_lines", "write_file", "delete_file")
TEAM_TOOLS = ("ask_agent",)


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What a shipped agent begins as; afterwards its rows belong to the admin."""

    slug: str
    name: str
    role: AgentRole
    description: str  # the router chooses by it
    colour: str
    icon: str
    folder: Path
    model_profile: str = "strong"
    max_turns: int = 5
    max_tool_calls: int = 60
    max_tokens: int = 150_000
    max_seconds: int = 600
    tools: tuple[str, ...] = ()
    write_globs: tuple[str, ...] = field(default=())  # of every writing tool; empty: any path
    earlier: tuple[str, ...] = ()  # SHA-256 of the prompts it had in earlier releases

    @property
    def prompt(self) -> str:
        """Return the instructions of its first version."""
        return (self.folder / "prompt.md").read_text(encoding="utf-8")

    def globs(self, tool: str) -> list[str]:
        """Return where this tool may write."""
        return list(self.write_globs) if tool in WRITE_TOOLS else []
