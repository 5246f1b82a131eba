"""Two workers at once, the last use, and revoking against using: never one call too many."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection

from agents.finishing import settle
from agents.runtime.contract import Waits
from approvals import invariants
from approvals.calls import carrying, sealing
from approvals.models import CallApproval, StandingGrant, StandingUse
from approvals.standing import granting
from approvals.standing.revoking import revoke
from projects.exceptions import InvalidInput
from tests.call_fixtures import call, working_step
from tests.standing_fixtures import asks, plant, remembered, standing_grant

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 6
ROUNDS = 4


@pytest.fixture
def crowd():
    """Run functions at the same moment, one in a thread each; their connections are closed."""
    gate = threading.Barrier(WORKERS)

    def at_once(function):
        gate.wait()
        return function()

    with ThreadPoolExecutor(WORKERS) as pool:
        yield lambda functions: list(pool.map(at_once, functions))
        list(pool.map(at_once, [lambda: connection.close()] * WORKERS))


def _waiting(project, requester, count: int) -> list:
    """Return ledger rows of calls that wait to be sealed, each of a step of its own."""
    rows = []
    for number in range(count):
        step = working_step(project, requester)
        rows.append(call(step, f"I-{number}"))
        assert settle(step.attempts.get(), Waits())
    return rows


def _kept() -> None:
    for check in invariants.CHECKS:
        if check.name.startswith(("grant-", "call-")):
            assert check.find().count == 0, check.name


def test_of_six_workers_as_many_let_through_as_there_are_uses_left(
    tool, server, project, requester, lead, crowd
):
    for _ in range(ROUNDS):
        grant = standing_grant(project, requester, lead, max_hits=2)
        rows = _waiting(project, requester, WORKERS)
        crowd([partial(sealing.seal, row.pk) for row in rows])
        states = CallApproval.objects.filter(call__in=rows).values_list("state", flat=True)
        assert sorted(states) == ["allowed"] * 2 + ["pending"] * 4
        assert sorted(grant.uses.values_list("number", flat=True)) == [1, 2]
    _kept()


def test_one_call_sealed_by_six_workers_counts_once(tool, server, project, requester, lead, crowd):
    grant = standing_grant(project, requester, lead, max_hits=1_000)
    for count in range(1, ROUNDS + 1):
        (row,) = _waiting(project, requester, 1)
        done = crowd([partial(sealing.seal, row.pk)] * WORKERS)
        assert sum(done) == 1
        assert StandingGrant.objects.get(pk=grant.pk).hits == count == StandingUse.objects.count()
    _kept()


def test_revoked_while_it_is_used_nothing_is_sent_afterwards(
    tool, server, project, requester, lead, crowd
):
    carrying.make_due("effects")
    for _ in range(ROUNDS):
        grant = standing_grant(project, requester, lead)
        carrying.make_due("effects")
        rows = _waiting(project, requester, WORKERS - 2)
        seal_all = [partial(sealing.seal, row.pk) for row in rows]
        crowd(
            [
                *seal_all,
                partial(carrying.make_due, "beside"),
                partial(revoke, grant.pk, by=lead),
            ]
        )
        revoked = StandingGrant.objects.get(pk=grant.pk).revoked_at
        for _ in range(3):
            carrying.make_due("effects")
        for made in CallApproval.objects.filter(call__in=rows):
            assert made.state in {"pending", "failed", "done"}
            assert made.sent_at is None or made.sent_at <= revoked
    _kept()


def test_of_six_tech_leads_as_many_make_a_grant_as_there_is_room_for(
    tool, server, project, requester, lead, crowd
):
    plant(standing_grant(project, requester, lead), granting.MOST_OPEN - 3)
    waiting = [asks(project, requester, f"J-{number}")[0] for number in range(WORKERS)]

    def remember(row: CallApproval) -> bool:
        try:
            remembered(row, lead, widened={})
        except InvalidInput:
            return False
        return True

    made = crowd([partial(remember, row) for row in waiting])
    assert sum(made) == 2
    assert StandingGrant.objects.in_force().count() == granting.MOST_OPEN
    states = CallApproval.objects.filter(pk__in=[row.pk for row in waiting])
    assert sorted(states.values_list("state", flat=True)) == ["allowed"] * 2 + ["pending"] * 4
