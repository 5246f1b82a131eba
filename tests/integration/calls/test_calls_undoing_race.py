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
from tests.call_fixtures import decided, end_time, waiting_call

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 6


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
    for _ in range(ROUNDS):
        row = decided(waiting_call(project, requester), lead)

        def make() -> object:
            while CallApproval.objects.get(pk=row.pk).state == "allowed":  # noqa: B023
                carrying.make_due("effects")
            return None

        def take_back() -> object:
            while not _almost_over(row):  # noqa: B023
                pass
            return undo(row.pk, by=second_lead)  # noqa: B023

        found = _at_once(make, make, take_back)
        fresh, sent = CallApproval.objects.get(pk=row.pk), [key for key, _ in server.calls]
        assert fresh.state == ("withdrawn" if _undone(found) else "done")
        assert (str(row.pk) in sent) == (not _undone(found))
        assert sent.count(str(row.pk)) <= 1


def _almost_over(row: CallApproval) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp() > decided_at + interval '0.98 seconds'"
            " FROM approvals_callapproval WHERE id = %s",
            [row.pk],
        )
        over: bool = cursor.fetchone()[0]
    return over


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
