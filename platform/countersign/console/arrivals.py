"""What happened to an open page of the inbox: what is new, and what is over; no row moves."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agents.lifecycle import EscalationState
from agents.models import Escalation
from approvals import edits, selectors
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import SEAL, Approval, CallApproval, Edit, Sort
from countersign.console import call_looks, looks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from countersign.console.inbox_page import AnyRow, NeedsYou
    from projects.models import User

_MOST = 64  # of keys an open page names


@dataclass(frozen=True, kw_only=True)
class Over:
    """A row that waits no more, as it is marked in its place."""

    pk: uuid.UUID
    look: looks.Look
    by: User | None
    at: datetime | None


def marks_of(asked: NeedsYou) -> str:
    """Return the keys of what a page shows, as its address for news names them."""
    keys = [*(row.approval.pk for row in asked.rows), *(each.pk for each in asked.questions)]
    return ",".join(key.hex for key in keys)


def news(asked: NeedsYou, query: Mapping[str, str], *, sort: str) -> int:
    """Return how much is there now that an open page does not show.

    What moved up because something before it is over is no news: it was there, on the next page.
    """
    shown = _keys(query)
    fresh = sum(each.pk not in shown for each in asked.questions)
    fresh += sum(row.approval.pk not in shown for row in asked.again)
    rows = asked.waiting
    since = _moment(query.get("since", ""))
    return fresh + _arrived(rows, shown, since, by_due=sort == Sort.DUE)


def _arrived(
    rows: Sequence[AnyRow], shown: Collection[uuid.UUID], since: datetime, *, by_due: bool
) -> int:
    known = [row for row in rows if row.approval.pk in shown and by_due]
    whole = len(shown) < selectors.ROWS
    # Rows are in groups here; in the order of the list the last known one is the one due last.
    last = max((row.approval.expires_at for row in known), default=since)
    return sum(
        row.approval.pk not in shown
        and (whole or row.approval.expires_at < last or row.approval.requested_at >= since)
        for row in rows
    )


def over(user: User, asked: NeedsYou, query: Mapping[str, str]) -> list[Over]:
    """Return what an open page shows and somebody has decided, or the clock has, meanwhile."""
    gone = _keys(query) - {row.approval.pk for row in asked.rows}
    gone -= {each.pk for each in asked.questions}
    found: list[Over] = []
    for read in (_approvals_over, _calls_over, _answered):
        found += read(user, gone) if gone else []
        gone -= {each.pk for each in found}
    return found


def _approvals_over(user: User, gone: Collection[uuid.UUID]) -> list[Over]:
    rows = Approval.objects.visible_to(user).filter(pk__in=gone).select_related("decided_by")
    ended = list(rows.exclude(state=ApprovalState.PENDING).defer(*SEAL))
    edited = edits.ended(ended)
    return [_over(each, edited.get(each.pk)) for each in ended]


def _over(approval: Approval, edit: Edit | None) -> Over:
    look = looks.of_approval(approval, edit=edit)
    by = edit.person if edit else approval.decided_by
    return Over(pk=approval.pk, look=look, by=by, at=approval.decided_at)


def _calls_over(user: User, gone: Collection[uuid.UUID]) -> list[Over]:
    rows = CallApproval.objects.visible_to(user).filter(pk__in=gone, free=False)
    ended = rows.exclude(state=CallState.PENDING).select_related("decided_by").defer("snapshot")
    return [
        Over(pk=each.pk, look=call_looks.look_of(each), by=each.decided_by, at=each.decided_at)
        for each in ended
    ]


def _answered(user: User, gone: Collection[uuid.UUID]) -> list[Over]:
    rows = Escalation.objects.visible_to(user).filter(pk__in=gone)
    ended = rows.filter(state=EscalationState.RESOLVED).select_related("resolved_by")
    return [
        Over(pk=each.pk, look=looks.ANSWERED, by=each.resolved_by, at=each.resolved_at)
        for each in ended.defer("evidence")
    ]


def _keys(query: Mapping[str, str]) -> set[uuid.UUID]:
    found = set()
    for text in query.get("shown", "").split(",")[:_MOST]:
        try:
            found.add(uuid.UUID(text))
        except ValueError:
            continue
    return found


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), tz=UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.now(tz=UTC)
