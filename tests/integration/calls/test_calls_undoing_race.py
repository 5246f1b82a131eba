"""Of an undo, another undo and the effects worker exactly one has an allowed call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from approvals import policies
from approvals.calls import carrying, ending
from approvals.calls.undoing import undo
from approvals.exceptions import UndoRefused
from approvals.models import CallApproval
from approvals.standing import revoking
from projects.models import AuditEntry
from tests.call_fixtures import decided, end_time, waiting_call
from tests.standing_fixtures import let_any, remembered

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 6
# How long after the permission it is undone: in time, around the end of the window, and too late.
MOMENTS = (0.0, 0.94, 0.96, 0.98, 0.99, 1.0, 1.02, None)


def _at_once(*works) -> list[object]:
    start = Barrier(len(works))

    def run(work) -> object:
        try:
            start.wait(10)
            return work()
        except UndoRefused as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def _undone(results: list[object]) -> list[object]:
    return [each for each in results if isinstance(each, CallApproval)]


def test_of_two_undos_one_counts(tool, project, requester, lead, second_lead):
    policies.change(project, by=lead, call_undo_seconds=300)
    for _ in range(ROUNDS):
        row = decided(waiting_call(project, requester), lead)
        found = _at_once(lambda: undo(row.pk, by=lead), lambda: undo(row.pk, by=second_lead))  # noqa: B023
        assert len(_undone(found)) == 1
        assert CallApproval.objects.filter(call=row.call_id).count() == 2


def test_an_undo_or_the_worker_has_it_and_never_both(
    tool, server, project, requester, lead, second_lead
):
    policies.change(project, by=lead, call_undo_seconds=1)
    won = []
    for moment in MOMENTS:
        row = decided(waiting_call(project, requester), lead)

        def make() -> object:
            while CallApproval.objects.get(pk=row.pk).state == "allowed":  # noqa: B023
                carrying.make_due("effects")
            return None

        def take_back() -> object:
            while not _is_time(row, moment):  # noqa: B023
                pass
            return undo(row.pk, by=second_lead)  # noqa: B023

        found = _at_once(make, make, take_back)
        fresh, sent = CallApproval.objects.get(pk=row.pk), [key for key, _ in server.calls]
        assert fresh.state == ("withdrawn" if _undone(found) else "done")
        assert (str(row.pk) in sent) == (not _undone(found))
        assert sent.count(str(row.pk)) <= 1
        won.append(bool(_undone(found)))
    assert (won[0], won[-1]) == (True, False)


def _is_time(row: CallApproval, moment: float | None) -> bool:
    """Tell whether so many seconds have gone since the permission; with None, whether it is called."""
    if moment is None:
        return not CallApproval.objects.filter(pk=row.pk, state="allowed").exists()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp() >= decided_at + %s * interval '1 second'"
            " FROM approvals_callapproval WHERE id = %s",
            [moment, row.pk],
        )
        over: bool = cursor.fetchone()[0]
    return over


def test_a_grant_that_is_revoked_while_the_permission_is_undone_keeps_nobody_waiting(
    tool, project, requester, lead, second_lead
):
    let_any(project, lead)
    policies.change(project, by=lead, call_undo_seconds=300)
    for _ in range(ROUNDS):
        grant = remembered(waiting_call(project, requester), lead)
        found = _at_once(
            lambda: undo(grant.origin_id, by=lead),  # noqa: B023
            lambda: revoking.revoke(grant.pk, by=second_lead),  # noqa: B023
        )
        assert len(_undone(found)) == 1
        grant.refresh_from_db()
        assert grant.revoked_by in {lead, second_lead}
        told = AuditEntry.objects.filter(action="standing_grant.revoked", object_id=str(grant.pk))
        assert told.count() == 1


def test_what_is_undone_as_the_time_to_decide_ends_is_asked_again_with_time_of_its_own(
    tool, server, project, requester, lead
):
    policies.change(project, by=lead, call_undo_seconds=300)
    row = decided(waiting_call(project, requester), lead)
    end_time(row)
    found = _at_once(lambda: undo(row.pk, by=lead), ending.expire_due)
    (again,) = _undone(found)
    states = set(CallApproval.objects.values_list("state", flat=True))
    assert states == {"withdrawn", "pending"}
    assert again.expires_at > row.expires_at
    assert server.requests == 0
