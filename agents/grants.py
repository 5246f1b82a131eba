"""What agents may use as they are set up now: switched-on tools of switched-on servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.models import Grant
from agents.models.tools import Transport

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection


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
    rows = Grant.objects.filter(tool__enabled=True, tool__server__enabled=True)
    if agents is not None:
        rows = rows.filter(agent__in=agents)
    found: Grants = {}
    for agent, *tool in rows.order_by("tool__name", "tool").values_list("agent", *_COLUMNS):
        found.setdefault(agent, []).append(_of(*tool))
    return found


_COLUMNS = (
    *("tool__name", "tool__server__slug", "tool__server__transport"),
    *("tool__read_only", "tool__idempotent", "paths"),
)


def _of(
    name: str,
    server: str,
    transport: str,
    read_only: bool,  # noqa: FBT001  # a row's columns
    idempotent: bool,  # noqa: FBT001
    paths: list[str],
) -> Granted:
    # A resumed attempt begins with the newest recorded tree, so whatever a bundled tool had half
    # done in its workspace is gone. Other servers keep what they did.
    repeatable = read_only or idempotent or transport == Transport.BUNDLED
    return Granted(
        tool=name,
        server=server,
        read_only=read_only,
        repeatable=repeatable,
        paths=tuple(paths),
    )
