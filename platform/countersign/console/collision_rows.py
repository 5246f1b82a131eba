"""What collides with a change, in the order that is best, as the review page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from approvals import collisions

if TYPE_CHECKING:
    from approvals.models import Approval

_NAMED = 3  # paths of one collision


@dataclass(frozen=True, kw_only=True)
class Row:
    """One change in its turn; of the one that is read no title and no paths."""

    approval: Approval
    fits: bool
    title: str
    paths: list[str]


def beside(approval: Approval) -> dict[str, Any]:
    """Return what else waits and collides with this, and all of them in the best order."""
    clashes = {clash.approval.pk: clash for clash in collisions.of(approval)}
    if not clashes:
        return {"clashes": [], "turns": []}
    turns = collisions.order([approval, *(clash.approval for clash in clashes.values())])
    rows = []
    for turn in turns:
        clash = clashes.get(turn.approval.pk)
        title, paths = (clash.title, clash.paths[:_NAMED]) if clash else ("", [])
        rows.append(Row(approval=turn.approval, fits=turn.fits, title=title, paths=paths))
    return {"clashes": list(clashes.values()), "turns": rows}
