"""Main moved: what waits for a signature is merged onto it again by itself."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from agents import holds
from agents.events import Kind
from agents.lifecycle import StepKind, StepState, TaskState
from agents.models import Proposal, Task
from approvals import expiring, following, sealing
from approvals.deciding import StaleApproval
from approvals.models import Approval
from projects.models import AuditEntry
from tests.approval_fixtures import (
    end_time,
    git,
    make_change,
    make_report,
    make_repository,
    move_main,
    past_triggers,
)
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)


@pytest.fixture
def bare(project, tmp_path):
    return make_repository(tmp_path, project)


@pytest.fixture
def approval(project, requester, lead, bare, tmp_path) -> Approval:
    return sealing.seal(make_change(project, requester, tmp_path))


def steps_of(approval):
    found = approval.task.steps.filter(kind=StepKind.ASSEMBLE).order_by("pk")
    return [(step.key, step.state) for step in found]


def states(*approvals):
    keys = [approval.pk for approval in approvals]
    known = dict(Approval.objects.filter(pk__in=keys).values_list("pk", "state"))
    return [known[key] for key in keys]


def test_what_waits_is_merged_onto_the_main_of_now(approval, bare):
    main = move_main(bare)
    assert following.follow({}) == 1
    approval.refresh_from_db()
    approval.task.refresh_from_db()
    assert (approval.state, approval.decided_by) == ("stale", None)
    assert approval.reason.startswith(f"main has moved to {main[:9]} since this was sealed.")
    assert (approval.task.state, approval.task.round) == (TaskState.WORKING, 1)
    assert steps_of(approval) == [("assemble", StepState.DONE), ("assemble-2", StepState.READY)]
    decided = approval.task.events.get(kind=Kind.APPROVAL_DECIDED)
    assert decided.data["state"] == "stale"
    told = AuditEntry.objects.filter(object_id=str(approval.pk)).order_by("pk")
    assert [(entry.action, entry.actor, entry.detail.get("main")) for entry in told][-2:] == [
        ("approval.stale", None, main),
        ("approval.proposed_again", None, main),
    ]


def test_where_main_stands_nothing_is_done(approval):
    mains = {}
    assert following.follow(mains) == 0
    assert states(approval) == ["pending"]
    assert mains == {approval.project_id: approval.proposal.base_commit}


def test_a_report_waits_whatever_main_does(project, requester, bare):
    report = sealing.seal(make_report(project, requester))
    move_main(bare)
    assert following.follow({}) == 0
    assert states(report) == ["pending"]


def test_what_fell_stale_in_a_decision_is_merged_again_too(approval, bare, lead):
    move_main(bare)
    with pytest.raises(StaleApproval):
        decide(
            approval.pk, by=lead, verdict="approve", digest=approval.digest, nonce=approval.nonce
        )
    assert following.follow({}) == 1
    assert steps_of(approval)[-1] == ("assemble-2", StepState.READY)
    assert following.follow({}) == 0  # agents are at it


def test_the_next_version_is_left_alone_until_main_moves_again(
    approval, bare, project, requester, tmp_path
):
    mains = {}
    move_main(bare)
    assert following.follow(mains) == 1
    task = approval.task
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW)
    task.refresh_from_db()
    task.round = 2  # only so that the steps of the fixture get keys of their own
    again = sealing.seal(make_change(project, requester, tmp_path, task=task, version=2, round=1))
    assert following.follow(mains) == 0
    assert states(approval, again) == ["stale", "pending"]


def test_where_main_stands_only_new_seals_are_looked_at(approval, bare):
    """One that was sealed while main moved is found; the thousands from before are not read."""
    mains = {}
    following.follow(mains)
    mains[approval.project_id] = move_main(bare)  # as if it had been looked at before the seal
    old = sealing.new_since()
    past_triggers("UPDATE approvals_approval SET id = %s WHERE id = %s", old, approval.pk)
    assert following.follow(mains) == 0
    past_triggers("UPDATE approvals_approval SET id = %s WHERE id = %s", approval.pk, old)
    assert following.follow(mains) == 1


def test_those_due_first_go_first(project, requester, bare, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "AHEAD", 1)
    later, first = (sealing.seal(make_change(project, requester, tmp_path)) for _ in range(2))
    end_time(first, in_seconds=3_600)
    move_main(bare)
    assert following.follow({}) == 1
    assert states(later, first) == ["pending", "stale"]
    assert following.follow({}) == 0  # one is under way
    Task.objects.filter(pk=first.task_id).update(state=TaskState.CANCELLED, finished_at=Now())
    assert following.follow({}) == 1


def test_what_is_left_behind_is_not_forgotten(project, requester, bare, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "AHEAD", 1)
    made = [sealing.seal(make_change(project, requester, tmp_path)) for _ in range(2)]
    mains = {}
    move_main(bare)
    for _ in made:
        assert following.follow(mains) == 1
        Task.objects.filter(state=TaskState.WORKING).update(
            state=TaskState.CANCELLED, finished_at=Now()
        )
    assert states(*made) == ["stale", "stale"]
    assert following.follow(mains) == 0


def test_a_version_waits_before_it_is_merged_again_the_later_the_longer(
    approval, bare, monkeypatch
):
    monkeypatch.setattr(following, "FIRST_WAIT", 5.0)
    move_main(bare)
    waits = {1: 5, 2: 10, 5: 80, 30: 3_600}
    for version, seconds in waits.items():
        Proposal.objects.filter(pk=approval.proposal_id).update(version=version)
        for early in (True, False):
            age = seconds - 2 if early else seconds + 2
            past_triggers(
                "UPDATE approvals_approval SET requested_at = now() - %s * interval '1 second'", age
            )
            found = Approval.objects.select_related("proposal").get(pk=approval.pk)
            assert following._has_waited(found) is not early
    assert following.follow({}) == 1


def test_a_version_that_is_not_sealed_yet_is_left_alone(
    approval, bare, lead, project, requester, tmp_path
):
    """The one before is still stale, and must not throw away what just came of it."""
    move_main(bare)
    following.follow({})
    task = approval.task
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW)
    task.refresh_from_db()
    task.round = 2  # only so that the steps of the fixture get keys of their own
    again = make_change(project, requester, tmp_path, task=task, version=2, round=1)
    assert following.follow({}) == 0
    assert sealing.seal(again).state == "pending"
    assert following.follow({}) == 0


@pytest.mark.parametrize("scope", ["task", "project"])
def test_what_is_held_is_left_as_it_is_until_then(approval, bare, lead, scope):
    held = holds.place(by=lead, **{scope: getattr(approval, scope)})
    mains = {}
    move_main(bare)
    assert following.follow(mains) == 0
    assert states(approval) == ["pending"]
    old = sealing.new_since()
    past_triggers("UPDATE approvals_approval SET id = %s WHERE id = %s", old, approval.pk)
    for table in ("reminder", "listed"):
        past_triggers(
            f"UPDATE approvals_{table} SET approval_id = %s WHERE approval_id = %s",  # noqa: S608
            *(old, approval.pk),
        )
    holds.lift(held, by=lead)
    assert following.follow(mains) == 1  # however long ago it was sealed


def test_where_main_was_set_back_a_person_is_asked(approval, bare, project, requester, tmp_path):
    """What somebody took from main would come back with the change."""
    move_main(bare)
    on_top = sealing.seal(make_change(project, requester, tmp_path))
    git(bare, "update-ref", "refs/heads/main", approval.proposal.base_commit)
    assert following.follow({}) == 0
    assert states(approval, on_top) == ["pending", "pending"]


def test_what_was_refused_is_for_a_person(approval, bare):
    approval.move("stale", decided_at=Now(), reason="The tree is another. Nothing was merged.")
    move_main(bare)
    assert following.follow({}) == 0


def test_what_is_overdue_expires_instead(approval, bare):
    end_time(approval)
    move_main(bare)
    assert following.follow({}) == 0
    assert expiring.expire_due() == 1


def test_what_a_person_decided_meanwhile_stays_decided(approval, bare, lead):
    main = move_main(bare)
    found = list(following._behind(approval.project, main, moved=True)[1])
    facts = {"digest": approval.digest, "nonce": approval.nonce, "note": "No."}
    decide(approval.pk, by=lead, verdict="reject", **facts)
    assert [following._put_up_again(each, main) for each in found] == [False]
    assert states(approval) == ["rejected"]
    assert steps_of(approval) == [("assemble", StepState.DONE)]


def test_a_repository_that_is_away_is_asked_later(approval, bare):
    away = bare.with_name("away.git")
    mains = {}
    bare.rename(away)
    assert following.follow(mains) == 0
    assert mains == {}
    away.rename(bare)
    move_main(bare)
    assert following.follow(mains) == 1


def test_an_archived_project_is_left_alone(approval, bare):
    move_main(bare)
    type(approval.project).objects.filter(pk=approval.project_id).update(
        archived_at=timezone.now() - timedelta(days=1)
    )
    assert following.follow({}) == 0


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_puts_it_up_again(approval, bare):
    move_main(bare)
    start, counts = Barrier(4), []

    def follow():
        try:
            start.wait()
            counts.append(following.follow({}))
        finally:
            connection.close()

    threads = [Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(counts) == [0, 0, 0, 1]
    assert steps_of(approval) == [("assemble", StepState.DONE), ("assemble-2", StepState.READY)]
    told = AuditEntry.objects.filter(action="approval.proposed_again")
    assert told.count() == 1
