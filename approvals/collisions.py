"""What was foreseen of changes that cannot both land, and the order in which most of them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from approvals.lifecycle import ApprovalState
from approvals.models import Approval, Collision

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

SHOWN = 10  # of one change's collisions
NUMBERS = 3  # of tasks, in a row of a list
_OTHER = {"one": "other", "other": "one"}


@dataclass(frozen=True, kw_only=True)
class Clash:
    """One other change that would conflict if this one landed."""

    approval: Approval
    paths: list[str]

    @property
    def title(self) -> str:
        """Return what was sealed as its title."""
        title: str = self.approval.outline["proposal"]["title"]
        return title


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One change in the order that is proposed, and whether it lands as it is."""

    approval: Approval
    fits: bool


def of(approval: Approval) -> list[Clash]:
    """Return what else waits in its project and would conflict, due first."""
    if approval.state != ApprovalState.PENDING:
        return []
    before = Collision.objects.filter(other=approval)
    after = Collision.objects.filter(one=approval)
    paths = Coalesce(
        Subquery(after.filter(other=OuterRef("pk")).values("paths")),
        Subquery(before.filter(one=OuterRef("pk")).values("paths")),
    )
    others = after.values("other").union(before.values("one"), all=True)
    rows = Approval.objects.filter(pk__in=others, state=ApprovalState.PENDING)
    found = rows.select_related("task", "proposal").annotate(paths=paths)
    loaded = found.only(*_OF_CLASH).order_by("expires_at", "pk")[:SHOWN]
    return [Clash(approval=row, paths=row.paths) for row in loaded]


_OF_CLASH = ("outline", "expires_at", "state", "task__number", "proposal__round")


def order(approvals: Sequence[Approval]) -> list[Turn]:
    """Return the order in which most of them land as they are.

    Greedy, as for an independent set of a graph: whoever collides with fewest of those left is next,
    the one due first among equals; what collides with it then comes last.
    """
    against = _against([each.pk for each in approvals])
    left, turns = {each.pk: each for each in approvals}, []
    while left:
        best = min(left.values(), key=lambda each: (len(against[each.pk] & {*left}), _due(each)))
        turns.append(Turn(approval=best, fits=True))
        for pk in (best.pk, *against[best.pk]):
            left.pop(pk, None)
    fit = {turn.approval.pk for turn in turns}
    late = sorted((each for each in approvals if each.pk not in fit), key=_due)
    return [*turns, *(Turn(approval=each, fits=False) for each in late)]


def numbers(mine: str) -> ArraySubquery:
    """Return the task numbers of what collides with a row, which is the `mine` of the pair."""
    theirs = _OTHER[mine]
    rows = Collision.objects.filter(
        **{mine: OuterRef("pk"), f"{theirs}__state": ApprovalState.PENDING}
    )
    return ArraySubquery(rows.order_by(theirs).values(f"{theirs}__task__number")[:NUMBERS])


def _against(pks: Collection[uuid.UUID]) -> dict[uuid.UUID, set[uuid.UUID]]:
    against: dict[uuid.UUID, set[uuid.UUID]] = {pk: set() for pk in pks}
    pairs = Collision.objects.filter(Q(one__in=pks) & Q(other__in=pks))
    for one, other in pairs.values_list("one", "other"):
        against[one].add(other)
        against[other].add(one)
    return against


def _due(approval: Approval) -> tuple[Any, ...]:
    return approval.expires_at, approval.pk
