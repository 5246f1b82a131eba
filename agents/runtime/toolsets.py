"""Connects an agent to its tools: over MCP, and only to those it was granted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.mcp import MCPToolset

from agents import delegating, team
from agents.workspace.scope import Scope
from agents.workspace.server import build_server

if TYPE_CHECKING:
    from pydantic_ai.toolsets import AbstractToolset

    from agents.runtime.contract import Work
    from agents.runtime.ledger import Known

WORKSPACE, TEAM = "workspace", delegating.SERVER
_READ_SECONDS = 900.0  # the project's checks have their own, shorter limit


def toolsets(work: Work, known: dict[str, Known]) -> list[AbstractToolset[Any]]:
    """Return what the model may see; the guard and the server refuse the rest once more."""
    found = [_workspace(work, _of(known, WORKSPACE)), _team(_of(known, TEAM))]
    return [toolset for toolset in found if toolset is not None]


def _of(known: dict[str, Known], server: str) -> frozenset[str]:
    return frozenset(name for name, tool in known.items() if tool.server == server)


def _workspace(work: Work, mine: frozenset[str]) -> AbstractToolset[Any] | None:
    if work.workspace is None or work.scope is None or not mine:
        return None
    scope = Scope(tools=mine, writes=work.scope.writes)
    server = MCPToolset(
        build_server(work.workspace, scope),
        id=WORKSPACE,
        tool_error_behavior="failed",
        read_timeout=_READ_SECONDS,
    )
    return server.filtered(lambda _, tool: tool.name in mine)


def _team(mine: frozenset[str]) -> AbstractToolset[Any] | None:
    if not mine:
        return None
    server = MCPToolset(team.build_server(), id=TEAM, tool_error_behavior="failed")
    return server.filtered(lambda _, tool: tool.name in mine)
