"""Connects an agent to its tools: over MCP, and only to those it was granted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.mcp import MCPToolset

from agents.workspace.scope import Scope
from agents.workspace.server import build_server

if TYPE_CHECKING:
    from pydantic_ai.toolsets import AbstractToolset

    from agents.runtime.contract import Work
    from agents.runtime.ledger import Known

WORKSPACE = "workspace"
_READ_SECONDS = 900.0  # the project's checks have their own, shorter limit


def toolsets(work: Work, known: dict[str, Known]) -> list[AbstractToolset[Any]]:
    """Return what the model may see; the guard and the server refuse the rest once more."""
    mine = frozenset(name for name, tool in known.items() if tool.server == WORKSPACE)
    if work.workspace is None or work.scope is None or not mine:
        return []
    scope = Scope(tools=mine, writes=work.scope.writes)
    server = MCPToolset(
        build_server(work.workspace, scope),
        id=WORKSPACE,
        tool_error_behavior="failed",
        read_timeout=_READ_SECONDS,
    )
    return [server.filtered(lambda _, tool: tool.name in mine)]
