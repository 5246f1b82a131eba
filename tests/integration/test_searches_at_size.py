"""What looks for leftovers stays cheap in a large installation, and still finds each of them."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from agents.models import Proposal, Task
from approvals import expiring, sealing
from approvals.executor import Executor
from approvals.models import Approval
from countersign import tallies
from projects.ids import floor
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


def _aged(proposal: Proposal, seconds: float) -> Proposal:
    """Return it as it would be, had it been made so long ago."""
    key = floor(seconds)
    Proposal.objects.filter(pk=proposal.pk).update(id=key)
    return Proposal.objects.get(pk=key)


def _seals() -> bool:
    """Tell whether the executor finds a new proposal to seal, by its own statement."""
    executor = Executor("looking")
    executor._look()
    return executor._work.seals


def test_new_proposals_are_sealed_without_a_walk(sealed, project, requester):
    new = make_report(project, requester)
    assert sealing.seal_new() == 1
    assert Approval.objects.filter(proposal=new, state="pending").exists()


@pytest.mark.parametrize(("seconds", "new"), [(-30, 1), (30, 0)])
def test_a_proposal_is_new_for_ten_minutes(sealed, project, requester, seconds, new):
    made = _aged(make_report(project, requester), sealing.NEW_SECONDS + seconds)
    assert _seals() == bool(new)
    assert sealing.seal_new() == new
    assert sealing.seal_ready() == 1 - new
    assert Approval.objects.filter(proposal=made, state="pending").exists()


def test_what_is_superseded_is_not_looked_for(sealed, project, requester):
    first = make_report(project, requester)
    Proposal.objects.create(task=first.task, round=1, version=2, kind="report", title="Again")
    assert _seals()
    assert sealing.seal_new() == 1
    assert not _seals()
    assert not Approval.objects.filter(proposal=first).exists()


@pytest.mark.django_db(transaction=True)
def test_the_loop_of_the_effects_worker_walks_to_an_old_proposal(project, requester):
    made = _aged(make_report(project, requester), sealing.NEW_SECONDS + 30)
    running = Executor("walking")
    running.start()
    try:
        deadline = time.monotonic() + 20
        while not Approval.objects.filter(proposal=made, state="pending").exists():
            assert time.monotonic() < deadline, "it was not found in time"
            time.sleep(0.05)
    finally:
        assert running.stop(seconds=10)
