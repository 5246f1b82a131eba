"""Counts decisions by what the rows say, whatever the pages said; and sends some without a page."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from projects.models import AuditEntry
from tests.bench._race import Racer
from tests.bench._review_keys import NOTE, REASON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projects.models import User
    from tests.bench._review_changes import Wanted

_STATES = {"approve": "approved", "request_changes": "changes_requested", "reject": "rejected"}
_NOTES = {"request_changes": NOTE, "reject": REASON}
_BEFORE = {"snooze": "approval.snoozed", "claim": "approval.claimed"}


def missing(wanted: Sequence[Wanted], lead: User) -> list[str]:
    """Return of which approvals the rows do not say what was to be decided, and what they say."""
    found = ((each, _said(each, lead)) for each in wanted)
    return [f"{each.approval.task.label}: {said}" for each, said in found if said != _told(each)]


def _told(each: Wanted) -> dict[str, Any]:
    """Return what the rows say once it is decided."""
    return {
        "state": _STATES[each.verdict],
        "signed": [(each.verdict, _NOTES.get(each.act, ""))],
        "refused": [NOTE] if each.act == "refuse_hunk" else [],
        "effects": ["planned"] if each.verdict == "approve" else [],
        "audited": 1,
        "before": int(bool(each.before)),
    }


def _said(each: Wanted, lead: User) -> dict[str, Any]:
    approval = each.approval
    approval.refresh_from_db(fields=["state"])
    audited = AuditEntry.objects.filter(object_id=str(approval.pk), actor=lead)
    signed = approval.signatures.filter(signer=lead)
    refused = approval.comments.filter(author=lead, verdict="refuse")
    return {
        "state": approval.state,
        "signed": list(signed.values_list("verdict", "note")),
        "refused": list(refused.values_list("note", flat=True)),
        "effects": list(approval.effects.values_list("state", flat=True)),
        "audited": audited.filter(action=f"approval.{each.verdict}").count(),
        "before": audited.filter(action=_BEFORE.get(each.before, "")).count(),
    }


def post(wanted: Sequence[Wanted], lead: User, port: int) -> float:
    """Send decisions as the page's form does; return the median of their seconds.

    Only what needs no file viewed is approved, all else is rejected.
    """
    sender, taken = Racer(lead, port, 0), []
    for each in wanted:
        began = time.perf_counter()
        status = sender.decide(
            each.approval, "approve" if each.approval.risk == "low" else "reject"
        )
        taken.append(time.perf_counter() - began)
        assert status == 302, status
    sender.close()
    return statistics.median(taken)
