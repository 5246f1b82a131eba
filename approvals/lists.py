"""Lists of approvals by one fact of them: where all that fits a filter is read, and how long each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import CharField, Q, Value
from django.db.models.functions import Cast, Concat

from approvals.lifecycle import ApprovalState
from approvals.models import UNDER_REQUESTER, Approval, Listed
from projects import across
from projects.across import Across

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from django.db.models import QuerySet

    from projects.across import Statement
    from projects.models import User

MEASURED = 5_000  # rows are counted, by an index alone; what is longer is long
_TYPES = {"state": "text"}  # others are small numbers


@dataclass(frozen=True, kw_only=True)
class List:
    """Approvals in the lists of these names (see Listed), or those with these values in a column."""

    word: str  # of a filter
    names: tuple[str, ...] = ()
    path: str = ""
    values: tuple[int | str, ...] = ()

    def length(self, projects: Sequence[UUID], *, over: bool) -> Statement:
        """Return the statement that counts it in these projects, up to a cap."""
        if self.names:
            rows = Listed.objects.filter(decided_at__isnull=not over)
            return named(self.names, projects, rows).counted(MEASURED)
        # As the predicates of the indexes say it: they alone are read.
        of = Q(decided_at__isnull=False) if over else Q(state=ApprovalState.PENDING)
        found = Approval.objects.filter(of, self.known)
        return Across(rows=found, projects=projects, **self.read_by).counted(MEASURED)

    @property
    def known(self) -> Q:
        """What an index that is read must be told."""
        return ~Q(state=ApprovalState.APPROVED) if self.path == "state" else Q()

    @property
    def read_by(self) -> dict[str, Any]:
        """How the values are read, each by itself."""
        kind = _TYPES.get(self.path, "smallint")
        return {"states": self.values, "state_path": self.path, "state_type": kind}


def named(names: tuple[str, ...], projects: Sequence[UUID], rows: QuerySet[Listed]) -> Across:
    """Return the approvals that stand in lists of these names by such rows."""
    return Across(
        rows=rows,
        projects=projects,
        states=names,
        state_path="under",
        key="approval_id",
        listed=Approval,
    )


def length_of(people: QuerySet[User], projects: Sequence[UUID], *, over: bool) -> Statement:
    """Return the statement that counts what these people asked for, before it is known who they are."""
    under = Concat(Value(UNDER_REQUESTER), Cast("pk", CharField()))
    rows = Listed.objects.filter(
        project__in=list(projects),
        under__in=people.annotate(under=under).values("under"),
        decided_at__isnull=not over,
    )
    return across.counted(rows, MEASURED)
