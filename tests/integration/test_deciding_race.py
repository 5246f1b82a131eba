"""Eight people decide at once: exactly one of them wins, every time."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connection

from agents.events import Kind
from agents.models import Event
from approvals import expiring, policies, sealing
from approvals.deciding import decide
from approvals.models import Approval, Effect, Signature
from approvals.stopping import stop_task
from projects.exceptions import TransitionRefused
from projects.models import Membership, User
from tests.approval_fixtures import end_time, make_report

pytestmark = pytest.mark.django_db(transaction=True)

THREADS, ROUNDS = 8, 200


@pytest.fixture
def leads(project) -> list[User]:
    people = [User.objects.create_user(f"lead-{number}") for number in range(THREADS)]
    for person in people:
        Membership.objects.create(user=person, project=project, role="lead")
    return people


@pytest.fixture
def crowd():
    """Run one function in eight threads at the same moment; their connections are closed."""
    gate = threading.Barrier(THREADS)

    def at_once(function):
        gate.wait()
        return function()

    with ThreadPoolExecutor(THREADS) as pool:
        yield lambda functions: list(pool.map(at_once, functions))
        list(pool.map(at_once, [lambda: connection.close()] * THREADS))


def _attempt(approval: Approval, by: User, verdict: str):
    def run() -> str:
        try:
            decide(
                approval.pk,
                by=by,
                verdict=verdict,
                digest=approval.digest,
                nonce=approval.nonce,
                note="Because.",
            )
        except TransitionRefused:
            return ""
        return verdict

    return run


def test_of_eight_at_once_exactly_one_decides(project, requester, leads, crowd):
    verdicts = itertools.cycle(["approve", "reject", "request_changes"])
    states = {
        "approve": "approved",
        "reject": "rejected",
        "request_changes": "changes_requested",
    }
    for _ in range(ROUNDS):
        approval = sealing.seal(make_report(project, requester))
        said = crowd([_attempt(approval, lead, next(verdicts)) for lead in leads])
        winners = [verdict for verdict in said if verdict]
        assert len(winners) == 1
        approval.refresh_from_db()
        assert approval.state == states[winners[0]]
        assert Signature.objects.filter(approval=approval).count() == 1
        effects = Effect.objects.filter(approval=approval).count()
        assert effects == (1 if winners == ["approve"] else 0)
        decided = Event.objects.filter(task=approval.task_id, kind=Kind.APPROVAL_DECIDED)
        assert decided.count() == 1


def test_with_a_quorum_of_three_the_third_signature_decides_and_no_fourth_is_taken(
    project, requester, leads, crowd
):
    policies.change(project, by=leads[0], signatures_needed=3)
    for _ in range(20):
        approval = sealing.seal(make_report(project, requester))
        said = crowd([_attempt(approval, lead, "approve") for lead in leads])
        assert said.count("approve") == 3
        approval.refresh_from_db()
        assert approval.state == "approved"
        assert Signature.objects.filter(approval=approval).count() == 3
        assert Effect.objects.filter(approval=approval).count() == 1


def test_one_person_pressing_twice_signs_once(project, requester, leads, crowd):
    policies.change(project, by=leads[0], signatures_needed=2)
    for _ in range(20):
        approval = sealing.seal(make_report(project, requester))
        said = crowd([_attempt(approval, leads[0], "approve") for _ in leads])
        assert said.count("approve") == 1
        approval.refresh_from_db()
        assert approval.state == "pending"


def test_two_sealers_at_once_seal_each_task_once(project, requester, crowd):
    policies.active_policy(project)
    for _ in range(12):
        make_report(project, requester)
    sealed = crowd([sealing.seal_ready] * THREADS)
    sealed += crowd([sealing.seal_ready] * THREADS)
    assert sum(sealed) == 12
    assert Approval.objects.count() == 12


def test_the_first_policy_is_made_once_by_many(project, crowd):
    found = crowd([lambda: policies.active_policy(project).pk] * THREADS)
    assert len(set(found)) == 1


def test_decision_stop_and_expiry_at_once_leave_one_outcome(project, requester, leads, crowd):
    for number in range(40):
        approval = sealing.seal(make_report(project, requester))
        end_time(approval, in_seconds=0.01 if number % 2 else 3_600)
        acts = [_attempt(approval, lead, "approve") for lead in leads[:3]]
        acts += [_attempt(approval, lead, "reject") for lead in leads[3:5]]
        acts += [_stop(approval, requester), expiring.expire_due, sealing.seal_ready]
        crowd(acts)
        approval.refresh_from_db()
        ends = {
            "approved": {"executing"},
            "rejected": {"rejected"},
            "withdrawn": {"cancelled"},
            "expired": {"review", "cancelled"},
            "pending": set(),
        }
        assert approval.task.state in ends[approval.state]
        signatures = Signature.objects.filter(approval=approval).count()
        assert signatures <= 1
        if approval.state in {"approved", "rejected"}:
            assert signatures == 1


def _stop(approval: Approval, by: User):
    def run() -> None:
        with suppress(TransitionRefused):
            stop_task(approval.task, by=by, reason="")

    return run
