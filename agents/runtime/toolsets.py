"""Connects an agent to its tools: over MCP, and only to those it was granted."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any

from mcp import Client, MCPError
from mcp.types import TextContent
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.tools import ToolDefinition

from agents import delegating, team
from agents.runtime.offering import Offered
from agents.workspace import server
from agents.workspace.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import MCPServer

    from agents.grants import Pinned
    from agents.runtime.contract import Work
    from agents.runtime.ledger import Known

WORKSPACE, TEAM = "workspace", delegating.SERVER
_READ_SECONDS = 900.0  # the project's checks have their own, shorter limit


class Toolbox:
    """What an agent may call; the guard and the servers refuse the rest once more."""

    def __init__(self, work: Work) -> None:
        found = [_workspace(work, _of(work.known, WORKSPACE)), _team(_of(work.known, TEAM))]
        self._bundles = [bundle for bundle in found if bundle is not None]
        ours = [tool for bundle in self._bundles for tool in bundle.tools.values()]
        self.tools = [*ours, *(_outside(name, work.outside[name]) for name in sorted(work.outside))]

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

    def __init__(self, tools: dict[str, Offered], server: Callable[[], MCPServer]) -> None:
        self.tools = tools
        self._server = server
        self._over = asyncio.Event()
        self._session: asyncio.Task[None] | None = None
        self._joined: asyncio.Future[Client] | None = None

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
        return await _called(connected, name, arguments)

    async def _serve(self, joined: asyncio.Future[Client], over: asyncio.Event) -> None:
        # A session is ended by the task that began it; calls come from others.
        try:
            client = Client(self._server(), read_timeout_seconds=_READ_SECONDS)
            async with client as connected:
                joined.set_result(connected)
                await over.wait()
        except Exception as error:
            if joined.done():
                raise
            joined.set_exception(error)
        finally:
            with contextlib.suppress(asyncio.InvalidStateError):
                joined.cancel()


def _outside(name: str, pinned: Pinned) -> Offered:
    """Offer a tool that is called elsewhere, as it was pinned."""
    return Offered.of(
        ToolDefinition(
            name=name,
            description=pinned.description,
            parameters_json_schema=pinned.input_schema,
        )
    )


def _of(known: dict[str, Known], name: str) -> frozenset[str]:
    return frozenset(tool for tool, about in known.items() if about.server == name)


def _workspace(work: Work, mine: frozenset[str]) -> Bundle | None:
    workspace = work.workspace
    if workspace is None or work.scope is None or not mine:
        return None
    scope = Scope(tools=mine, writes=work.scope.writes)
    return Bundle(_granted(WORKSPACE, mine), lambda: server.build_server(workspace, scope))


def _team(mine: frozenset[str]) -> Bundle | None:
    return Bundle(_granted(TEAM, mine), team.build_server) if mine else None


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


async def _called(client: Client, name: str, arguments: dict[str, Any]) -> Any:
    """Return what a tool gave, as data where it is data."""
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as error:  # it was not called: arguments of another shape, say
        raise ModelRetry(str(error)) from error
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.is_error:
        raise ToolFailed(text or f"Tool {name!r} returned an error")
    given = result.structured_content
    if given is None:
        return text
    # The SDK puts what is no object under this name.
    return given["result"] if set(given) == {"result"} else given
