"""What looks for leftovers stays cheap in a large installation, and still finds each of them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from agents.models import Task
from approvals import expiring, sealing
from approvals.models import Approval
from countersign import tallies
from projects.pacing import Paced
from tests.approval_fixtures import make_report

pytestmark = pytest.mark.django_db


@pytest.fixture
def sealed(project, requester) -> list[Approval]:
    return [sealing.seal(make_report(project, requester)) for _ in range(5)]


def test_leftovers_of_tasks_that_are_over_are_found_part_by_part(sealed, monkeypatch):
    monkeypatch.setattr(expiring, "PART", 2)
    last = max(sealed, key=lambda row: row.task_id)
    Task.objects.filter(pk=last.task_id).update(state="failed", finished_at=timezone.now())
    orphans = expiring.Orphans()
    assert [orphans.withdraw() for _ in range(3)] == [0, 0, 1]
    assert Approval.objects.get(pk=last.pk).state == "withdrawn"
    first = min(sealed, key=lambda row: row.task_id)
    Task.objects.filter(pk=first.task_id).update(state="failed", finished_at=timezone.now())
    assert sum(orphans.withdraw() for _ in range(4)) == 1  # it begins again


def test_a_search_that_finds_nothing_rests_and_one_that_finds_does_not():
    answers = iter([1, 0])
    search = Paced(lambda: next(answers))
    search()
    assert search.due()
    search()
    search.rest(60)
    assert not search.due()


def test_states_of_a_small_table_are_counted_and_of_a_large_one_estimated(sealed, monkeypatch):
    exact = tallies.by_state(Approval, ["pending", "rejected"])
    assert exact == {"pending": 5, "rejected": 0}
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE approvals_approval")
    monkeypatch.setattr(tallies, "_SMALL", -1)
    assert tallies.by_state(Approval, ["pending", "rejected"]) == exact


def test_new_proposals_are_sealed_without_a_walk_and_old_ones_by_it(
    sealed, project, requester, monkeypatch
):
    new = make_report(project, requester)
    assert sealing.seal_new() == 1
    assert Approval.objects.filter(proposal=new, state="pending").exists()
    old = make_report(project, requester)
    monkeypatch.setattr(sealing, "NEW_SECONDS", -60.0)
    assert sealing.seal_new() == 0
    assert sealing.seal_ready() == 1
    assert Approval.objects.filter(proposal=old, state="pending").exists()
