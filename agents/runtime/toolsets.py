"""Connects an agent to its tools: over MCP, and only to those it was granted."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from pydantic_ai.mcp import TOOL_SCHEMA_VALIDATOR, MCPToolset
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

from agents import delegating, team
from agents.workspace import server
from agents.workspace.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_ai import RunContext

    from agents.runtime.contract import Work
    from agents.runtime.ledger import Known

WORKSPACE, TEAM = "workspace", delegating.SERVER
_READ_SECONDS = 900.0  # the project's checks have their own, shorter limit


def toolsets(work: Work, known: dict[str, Known]) -> list[AbstractToolset[Any]]:
    """Return what the model may see; the guard and the server refuse the rest once more."""
    found = [_workspace(work, _of(known, WORKSPACE)), _team(_of(known, TEAM))]
    return [toolset for toolset in found if toolset is not None]


class Bundled(AbstractToolset[Any]):
    """Tools of a server of ours: listed without it, and served by it from the first call on.

    A server and its session take milliseconds and 100 kB; most turns call no tool.
    """

    def __init__(
        self, name: str, tools: dict[str, ToolDefinition], build: Callable[[], MCPToolset[Any]]
    ) -> None:
        self._name = name
        self._tools = tools
        self._build = build
        self._over = asyncio.Event()
        self._session: asyncio.Task[None] | None = None
        self._joined: asyncio.Future[MCPToolset[Any]] | None = None

    @property
    def id(self) -> str:
        """The server's name."""
        return self._name

    async def __aenter__(self) -> Self:
        """Connect nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session, if a call has begun one."""
        session, self._session, self._joined = self._session, None, None
        if session is not None:
            self._over.set()
            await session
            self._over = asyncio.Event()

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Return the granted tools."""
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=definition,
                max_retries=ctx.max_retries,
                args_validator=TOOL_SCHEMA_VALIDATOR,
            )
            for name, definition in self._tools.items()
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool over the session, which is begun when there is none."""
        if self._joined is None:
            self._joined = asyncio.get_running_loop().create_future()
            self._session = asyncio.create_task(self._serve(self._joined, self._over))
        connected = await asyncio.shield(self._joined)
        return await connected.call_tool(name, tool_args, ctx, tool)

    async def _serve(self, joined: asyncio.Future[MCPToolset[Any]], over: asyncio.Event) -> None:
        # A session is ended by the task that began it; calls come from others.
        try:
            async with self._build() as connected:
                joined.set_result(connected)
                await over.wait()
        except Exception as error:
            if joined.done():
                raise
            joined.set_exception(error)
        finally:
            with contextlib.suppress(asyncio.InvalidStateError):
                joined.cancel()


def _of(known: dict[str, Known], name: str) -> frozenset[str]:
    return frozenset(tool for tool, about in known.items() if about.server == name)


def _workspace(work: Work, mine: frozenset[str]) -> AbstractToolset[Any] | None:
    workspace = work.workspace
    if workspace is None or work.scope is None or not mine:
        return None
    scope = Scope(tools=mine, writes=work.scope.writes)

    def build() -> MCPToolset[Any]:
        return MCPToolset(
            server.build_server(workspace, scope),
            id=WORKSPACE,
            tool_error_behavior="failed",
            read_timeout=_READ_SECONDS,
        )

    return Bundled(WORKSPACE, _granted(WORKSPACE, mine), build)


def _team(mine: frozenset[str]) -> AbstractToolset[Any] | None:
    if not mine:
        return None

    def build() -> MCPToolset[Any]:
        return MCPToolset(team.build_server(), id=TEAM, tool_error_behavior="failed")

    return Bundled(TEAM, _granted(TEAM, mine), build)


def _granted(name: str, mine: frozenset[str]) -> dict[str, ToolDefinition]:
    return {tool: known for tool, known in _definitions(name).items() if tool in mine}


@cache
def _definitions(name: str) -> dict[str, ToolDefinition]:
    source = team if name == TEAM else server
    return {
        each.name: ToolDefinition(
            name=each.name,
            description=each.description,
            parameters_json_schema=each.input_schema,
        )
        for each in source.definitions()
    }
