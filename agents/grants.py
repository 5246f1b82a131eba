"""What agents may use as they are set up now: switched-on tools of switched-on servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    for row in rows.order_by("tool__name", "tool").values_list("agent", *_COLUMNS, named=True):
        found.setdefault(row.agent, []).append(_of(row))
    return found


_COLUMNS = (
    *("tool__name", "tool__server__slug", "tool__server__transport"),
    *("tool__read_only", "tool__idempotent", "paths"),
)


def _of(row: Any) -> Granted:
    # A resumed attempt begins with the newest recorded tree, so whatever a bundled tool had half
    # done in its workspace is gone. Other servers keep what they did.
    bundled = row.tool__server__transport == Transport.BUNDLED
    return Granted(
        tool=row.tool__name,
        server=row.tool__server__slug,
        read_only=row.tool__read_only,
        repeatable=row.tool__read_only or row.tool__idempotent or bundled,
        paths=tuple(row.paths),
    )
