"""What one agent may do in one workspace: tools, and where its writes may go."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.workspace.paths import matches


@dataclass(frozen=True, slots=True)
class Scope:
    """The allowed tools, and per tool the globs a written path must match (none: any path).

    A glob that begins with `!` refuses what it matches: ("!docs/**",) is everything but the docs.
    """

    tools: frozenset[str]
    writes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def allows(self, tool: str) -> bool:
        """Tell whether the tool may be used at all."""
        return tool in self.tools

    def allows_write(self, tool: str, path: str) -> bool:
        """Tell whether the tool may write this path (relative to the workspace, normalised)."""
        globs = self.writes.get(tool, ())
        refused = [glob[1:] for glob in globs if glob.startswith("!")]
        wanted = [glob for glob in globs if not glob.startswith("!")]
        fits = not wanted or matches(path, wanted)
        return self.allows(tool) and fits and not matches(path, refused)
