"""How quickly a person decides: how long each decision of today came after the one before.

Nothing records when somebody began to read, so nothing is said of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise, takewhile
from statistics import median
from typing import TYPE_CHECKING, Any

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils import timezone

from approvals.calls import selectors as calls
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import Approval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from projects.across import Statement
    from projects.models import User

LATEST = 100  # decisions of today that are looked at
FEW = 3  # decisions that tell nothing of a pace
QUICK = 15.0  # seconds
IN_A_ROW = 10
# Nobody decides twice within it by hand: what was approved together was one act.
_TOGETHER = 1.0
_BY_A_PERSON = (
    ApprovalState.APPROVED,
    ApprovalState.CHANGES_REQUESTED,
    ApprovalState.REJECTED,
)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Half of the decisions came within `middle` of the one before; the last `quick` were hurried."""

    middle: timedelta | None = None  # of too few it is not said
    quick: int = 0

    @property
    def hurried(self) -> bool:
        """Tell whether so many approvals in a row came so quickly that a person should be told."""
        return self.quick >= IN_A_ROW


def today() -> datetime:
    """Return when the day began, where the server is."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def latest(user: User) -> Statement:
    """Return the statement that reads when this person decided today, at last, and what was approved.

    What a standing grant or an earlier signature of theirs did is none of it.
    """
    changes = Approval.objects.filter(
        decided_by=user, decided_at__gte=today(), follows=None, state__in=_BY_A_PERSON
    )
    asked = calls.decided_since(user, today()).exclude(state=CallState.WITHDRAWN)
    parts = [
        _rows(changes, Q(state=ApprovalState.APPROVED)),
        _rows(asked, ~Q(state=CallState.REFUSED)),
    ]
    rows = " UNION ALL ".join(f"({text})" for text, _ in parts)
    text = (
        "SELECT coalesce(json_agg(json_build_array(extract(epoch FROM one.at), one.approved)), '[]')"  # noqa: S608  # spelled by us
        f" FROM ({rows}) one(at, approved)"
    )
    return text, tuple(param for _, given in parts for param in given)


def _rows(decided: QuerySet[Any], approved: Q) -> Statement:
    said = decided.annotate(approved=ExpressionWrapper(approved, output_field=BooleanField()))
    rows = said.order_by("-decided_at").values_list("decided_at", "approved")[:LATEST]
    statement: Statement = rows.query.sql_with_params()
    return statement


def pace_of(found: Iterable[Sequence[Any]], *, told_at: datetime | None = None) -> Pace:
    """Return the pace of what `latest` read; of what came before a person was told nothing is hurried."""
    decided = sorted((float(at), approved) for at, approved in found)[-LATEST:]
    gaps = [
        (now - before, now, approved)
        for (before, _), (now, approved) in pairwise(decided)
        if now - before >= _TOGETHER
    ]
    since = told_at.timestamp() if told_at else 0.0
    row = takewhile(lambda each: each[2] and each[0] < QUICK and each[1] > since, reversed(gaps))
    middle = median(gap for gap, _, _ in gaps) if len(gaps) >= FEW else None
    return Pace(
        middle=None if middle is None else timedelta(seconds=middle),
        quick=sum(1 for _ in row),
    )
