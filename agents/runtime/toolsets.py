"""Connects an agent to its tools: over MCP, and only to those it was granted."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic_ai.mcp import MCPToolset
from pydantic_ai.tools import ToolDefinition

from agents import delegating, team
from agents.runtime.offering import Offered
from agents.workspace import server
from agents.workspace.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.runtime.contract import Work
    from agents.runtime.ledger import Known

WORKSPACE, TEAM = "workspace", delegating.SERVER
_READ_SECONDS = 900.0  # the project's checks have their own, shorter limit


class Toolbox:
    """What an agent may call; the guard and the servers refuse the rest once more."""

    def __init__(self, work: Work, known: dict[str, Known]) -> None:
        found = [_workspace(work, _of(known, WORKSPACE)), _team(_of(known, TEAM))]
        self._bundles = [bundle for bundle in found if bundle is not None]
        self.tools = [tool for bundle in self._bundles for tool in bundle.tools.values()]

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a tool; raises ToolFailed or ModelRetry with what it says of itself."""
        bundle = next(bundle for bundle in self._bundles if name in bundle.tools)
        return await bundle.call(name, arguments)

    async def aclose(self) -> None:
        """End the sessions that calls have begun."""
        for bundle in self._bundles:
            await bundle.aclose()


class Bundle:
    """Tools of a server of ours: listed without it, and served by it from the first call on.

    A server and its session take milliseconds and 100 kB; most turns call no tool.
    """

    def __init__(self, tools: dict[str, Offered], build: Callable[[], MCPToolset[Any]]) -> None:
        self.tools = tools
        self._build = build
        self._over = asyncio.Event()
        self._session: asyncio.Task[None] | None = None
        self._joined: asyncio.Future[MCPToolset[Any]] | None = None

    async def aclose(self) -> None:
        """End the session, if a call has begun one."""
        session, self._session, self._joined = self._session, None, None
        if session is not None:
            self._over.set()
            await session
            self._over = asyncio.Event()

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a tool over the session, which is begun when there is none."""
        if self._joined is None:
            self._joined = asyncio.get_running_loop().create_future()
            self._session = asyncio.create_task(self._serve(self._joined, self._over))
        connected = await asyncio.shield(self._joined)
        return await connected.direct_call_tool(name, arguments)

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


def _workspace(work: Work, mine: frozenset[str]) -> Bundle | None:
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

    return Bundle(_granted(WORKSPACE, mine), build)


def _team(mine: frozenset[str]) -> Bundle | None:
    if not mine:
        return None

    def build() -> MCPToolset[Any]:
        return MCPToolset(team.build_server(), id=TEAM, tool_error_behavior="failed")

    return Bundle(_granted(TEAM, mine), build)


def _granted(name: str, mine: frozenset[str]) -> dict[str, Offered]:
    return {tool: offered for tool, offered in _offered(name).items() if tool in mine}


@cache
def _offered(name: str) -> dict[str, Offered]:
    source = team if name == TEAM else server
    return {
        each.name: Offered.of(
            ToolDefinition(
                name=each.name,
                description=each.description,
                parameters_json_schema=each.input_schema,
            )
        )
        for each in source.definitions()
    }
