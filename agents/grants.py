"""What agents may use as they are set up now: switched-on tools of switched-on servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.models import Grant
from agents.models.tools import Transport
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """One tool an agent may use."""

    tool: str
    server: str
    read_only: bool
    repeatable: bool  # may run again after a crash
    paths: tuple[str, ...]


Grants = dict["uuid.UUID", list[Granted]]  # by agent


def granted(agents: Collection[uuid.UUID] | None = None) -> Grants:
    """Return what these agents, or all, were granted, in the order of the tools' names."""
    return _by_agent(_ALL() if agents is None else _OF_AGENTS(agents=list(agents)))


def ask_granted() -> Callable[[], Grants]:
    """Ask what all agents were granted and return what reads it: of several `sent_together`."""
    rows = _ALL.ask()
    return lambda: _by_agent(rows())


def _by_agent(rows: list[Any]) -> Grants:
    found: Grants = {}
    for agent, *row in rows:
        found.setdefault(agent, []).append(_of(row))
    return found


def _of(row: list[Any]) -> Granted:
    tool, server, transport, read_only, idempotent, paths = row
    # A resumed attempt begins with the newest recorded tree, so whatever a bundled tool had half
    # done in its workspace is gone. Other servers keep what they did.
    bundled = transport == Transport.BUNDLED
    return Granted(
        tool=tool,
        server=server,
        read_only=read_only,
        repeatable=read_only or idempotent or bundled,
        paths=tuple(paths),
    )


def _rows() -> Any:
    columns = ("tool__name", "tool__server__slug", "tool__server__transport")
    usable = Grant.objects.filter(tool__enabled=True, tool__server__enabled=True)
    return usable.order_by("tool__name", "tool").values_list(
        "agent", *columns, "tool__read_only", "tool__idempotent", "paths"
    )


_ALL: Prepared[Any] = Prepared(_rows)
_OF_AGENTS: Prepared[Any] = Prepared(lambda: _rows().filter(agent__any=Given("agents")))
