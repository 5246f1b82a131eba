"""What agents may use as they are set up now: switched-on tools of switched-on servers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.models import Grant, Tool
from agents.models.tools import Transport
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """One tool an agent may use."""

    tool: str
    server: str
    read_only: bool
    repeatable: bool  # may run again after a crash
    paths: tuple[str, ...]
    outside: bool = False  # on a server that is not ours: not the agents' worker calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What a server outside said of a tool when it was pinned."""

    description: str
    input_schema: dict[str, Any]


Grants = dict["uuid.UUID", list[Granted]]  # by agent


def granted(agents: Collection[uuid.UUID] | None = None) -> Grants:
    """Return what these agents, or all, were granted, in the order of the tools' names."""
    return _by_agent(_ALL() if agents is None else _OF_AGENTS(agents=list(agents)))


def ask_granted() -> Callable[[], Grants]:
    """Ask what all agents were granted and return what reads it: of several `sent_together`."""
    rows = _ALL.ask()
    return lambda: _by_agent(rows())


def offered_as(server: str, tool: str) -> str:
    """Return the name by which a model calls a tool outside; empty: no model could.

    With its server's: it may have the name of one of ours.
    """
    name = f"{server}{_OF}{tool}"
    return name if _NAME.fullmatch(name) else ""


def name_at(server: str, offered: str) -> str:
    """Return what the server itself calls a tool offered under this name."""
    return offered.removeprefix(f"{server}{_OF}")


def pinned(granted: Iterable[Granted]) -> dict[str, Pinned]:
    """Return the definitions of tools outside, by the name they are offered under."""
    wanted = {each.tool: each.server for each in granted if each.outside}
    if not wanted:  # nearly always: no query
        return {}
    rows = Tool.objects.filter(server__slug__in=set(wanted.values()))
    columns = ("server__slug", "name", "description", "input_schema")
    found = {
        offered_as(server, name): Pinned(description=told[:_DESCRIPTION], input_schema=schema)
        for server, name, told, schema in rows.values_list(*columns)
    }
    return {name: found[name] for name in wanted if name in found}


def outside(agent: uuid.UUID, server: str, tool: str) -> Tool | None:
    """Return a tool of a server over HTTP, by its name there, if this agent may use it now."""
    granted = Grant.objects.filter(
        agent=agent,
        tool__server__slug=server,
        tool__name=tool,
        tool__enabled=True,
        tool__server__enabled=True,
        tool__server__transport=Transport.HTTP,
    )
    grant = granted.select_related("tool__server").first()
    return grant.tool if grant else None


_OF = "__"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what providers take as a tool's name
_DESCRIPTION = 4_000  # characters of it that a model is told


def _by_agent(rows: list[Any]) -> Grants:
    found: Grants = {}
    for agent, *row in rows:
        if (granted := _of(row)).tool:
            found.setdefault(agent, []).append(granted)
    return found


def _of(row: list[Any]) -> Granted:
    tool, server, transport, read_only, idempotent, paths = row
    # A resumed attempt begins with the newest recorded tree, so whatever a bundled tool had half
    # done in its workspace is gone. Other servers keep what they did.
    bundled = transport == Transport.BUNDLED
    return Granted(
        tool=tool if bundled else offered_as(server, tool),
        server=server,
        read_only=read_only,
        repeatable=read_only or idempotent or bundled,
        paths=tuple(paths),
        outside=not bundled,
    )


def _rows() -> Any:
    columns = ("tool__name", "tool__server__slug", "tool__server__transport")
    usable = Grant.objects.filter(tool__enabled=True, tool__server__enabled=True).exclude(
        tool__server__transport=Transport.STDIO  # nothing starts one yet
    )
    return usable.order_by("tool__name", "tool").values_list(
        "agent", *columns, "tool__read_only", "tool__idempotent", "paths"
    )


_ALL: Prepared[Any] = Prepared(_rows)
_OF_AGENTS: Prepared[Any] = Prepared(lambda: _rows().filter(agent__any=Given("agents")))
