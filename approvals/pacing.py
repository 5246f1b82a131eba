"""How quickly a person decides: how long each decision of today came after the one before.

Nothing records when somebody began to read, so nothing is said of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise, takewhile
from statistics import median
from typing import TYPE_CHECKING, Any

from django.db.models import (
    BooleanField,
    CharField,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    Subquery,
    TextField,
    Value,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone

from approvals.calls import selectors as calls
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import Approval, Signature
from projects import across
from projects.models import AuditEntry
from projects.prepared import settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from projects.across import Statement
    from projects.models import User

LATEST = 100  # decisions of today that are looked at
FEW = 3  # decisions that tell nothing of a pace
QUICK = 15.0  # seconds
IN_A_ROW = 10
_BY_HAND = 1.0  # second: what came sooner after the one before tells nothing of a pace
_SENT_BACK = (ApprovalState.CHANGES_REQUESTED, ApprovalState.REJECTED)


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


def by_hand(person: UUID, moment: datetime) -> QuerySet[Approval]:
    """Return what this person decided since a moment and did not take back.

    Where signatures held, what follows has their copies: nobody decided anew.
    """
    signed = Signature.objects.filter(approval=OuterRef("pk"), signer=person, carried_from=None)
    mine = Approval.objects.filter(Exists(signed), decided_by=person, decided_at__gte=moment)
    return mine.exclude(state=ApprovalState.WITHDRAWN)


def latest(user: User) -> Statement:
    """Return the statement that reads when this person decided today, at last, what was approved, and
    by which act together with others.

    What a standing grant or an earlier signature of theirs did is none of it.
    """
    return _latest(user.pk, today())


@lru_cache(maxsize=across.PERSONS)
def _latest(person: UUID, moment: datetime) -> Statement:
    asked = calls.decided_since(person, moment)
    parts = [
        _rows(by_hand(person, moment), ~Q(state__in=_SENT_BACK), _act()),
        _rows(asked, ~Q(state=CallState.REFUSED), Cast(Value(None), TextField())),
    ]
    rows = " UNION ALL ".join(f"({text})" for text, _ in parts)
    text = (
        "SELECT coalesce(json_agg(json_build_array("  # noqa: S608  # spelled by us
        "extract(epoch FROM one.at), one.approved, one.act)), '[]')"
        f" FROM ({rows}) one(at, approved, act)"
    )
    return settled(text, [param for _, given in parts for param in given])


def _act() -> Subquery:
    """Return the act that approved several together, as the log of each names it."""
    signed = AuditEntry.objects.filter(
        object_id=Cast(OuterRef("pk"), CharField()),
        action="approval.approve",
        detail__settles=True,
    )
    return Subquery(signed.order_by().values_list(KT("detail__together"))[:1])


def _rows(decided: QuerySet[Any], approved: Q, act: Subquery | Cast) -> Statement:
    said = decided.annotate(
        approved=ExpressionWrapper(approved, output_field=BooleanField()), act=act
    )
    rows = said.order_by("-decided_at").values_list("decided_at", "approved", "act")[:LATEST]
    statement: Statement = rows.query.sql_with_params()
    return statement


def pace_of(found: Iterable[Sequence[Any]], *, told_at: datetime | None = None) -> Pace:
    """Return the pace of what `latest` read; of what came before a person was told nothing is hurried."""
    decided = sorted(found, key=lambda each: float(each[0]))[-LATEST:]
    gaps = [each for each in _gaps(decided) if each[0] >= _BY_HAND]
    since = told_at.timestamp() if told_at else 0.0
    row = takewhile(lambda each: each[2] and each[0] < QUICK and each[1] > since, reversed(gaps))
    middle = median(gap for gap, _, _ in gaps) if len(gaps) >= FEW else None
    return Pace(
        middle=None if middle is None else timedelta(seconds=middle),
        quick=sum(1 for _ in row),
    )


def _gaps(decided: Sequence[Sequence[Any]]) -> Iterator[tuple[float, float, bool]]:
    """Yield how long after the one before each was decided, when, and whether it was approved.

    Of what one act approved together, one after the other, the first alone came after another.
    """
    acts = set()
    for (before, _, act_before), (now, approved, act) in pairwise(decided):
        acts.add(act_before)
        if act is None or act not in acts:
            yield float(now) - float(before), float(now), approved
