"""Who may hold what, what a hold stops, and what two people at once leave behind."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from agents import holds, stopping
from agents.finishing import settle
from agents.intake import submit
from agents.models import Attempt, Event, Hold, Step, Task
from agents.runtime import lease
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, Interrupted
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.models import AuditEntry, Project
from tests import runtime_fixtures
from tests.runtime_fixtures import claim_one, plan_step, planned, result, state_of, states

agents = runtime_fixtures.agents
task = runtime_fixtures.task

AIMS = ["task", "agent", "project", "everything"]


@pytest.fixture
def aims(task, project, agents) -> dict[str, dict]:
    return {
        "task": {"task": task},
        "agent": {"agent": agents["router"]},
        "project": {"project": project},
        "everything": {},
    }


@pytest.mark.parametrize("aim", AIMS)
def test_what_is_held_is_not_claimed_until_it_is_lifted(task, lead, admin, aims, aim):
    by = lead if aim == "task" else admin
    hold = holds.place(by=by, reason="Look first.", **aims[aim])
    assert claim("worker-a", limit=9) == []
    holds.lift(hold, by=by)
    assert claim_one().step.task_id == task.pk


@pytest.mark.parametrize("aim", AIMS)
def test_what_runs_is_no_longer_ours_and_goes_on_from_its_checkpoint(task, lead, admin, aims, aim):
    first = claim_one().attempt
    Attempt.objects.update(checkpoint={"turn": 1}, turns=1)
    by = lead if aim == "task" else admin
    hold = holds.place(by=by, **aims[aim])
    assert lease.held("worker-a", [first.step_id]) == {}
    assert lease.renew("worker-a", [first.step_id]) == {}
    assert settle(first, Interrupted())
    first.refresh_from_db()
    assert (first.state, first.error, states(task)) == ("released", "", {"route": "ready"})
    assert Event.objects.filter(kind="step.state").last().data["why"] == "held"
    holds.lift(hold, by=by)
    again = claim_one("worker-b").attempt
    assert (again.resumes, again.checkpoint, again.turns) == (first, {"turn": 1}, 1)


def test_result_that_came_in_time_is_kept(task, lead):
    planned(task, plan_step("a"))
    running = claim_one().attempt
    holds.place(by=lead, task=task)
    assert settle(running, Finished(result()))
    assert states(task) == {"route": "done", "a": "done", "assemble": "ready"}
    assert claim("worker-a", limit=9) == []


def test_hold_of_one_project_or_agent_leaves_the_others_alone(task, project, agents, admin, lead):
    other = Project.objects.create(slug="other", name="other", repository="/x.git")
    other.memberships.create(user=lead, role="lead")
    theirs = submit(project=other, requester=lead, request="Something else").task
    holds.place(by=admin, project=project)
    holds.place(by=admin, agent=agents["coder"])
    assert [one.step.task_id for one in claim("worker-a", limit=9)] == [theirs.pk]


def test_work_is_accepted_and_queues_while_everything_is_held(task, project, requester, admin):
    hold = holds.place(by=admin)
    later = submit(project=project, requester=requester, request="Another").task
    assert state_of(later) == "queued"
    holds.lift(hold, by=admin)
    assert {one.step.task_id for one in claim("worker-a", limit=9)} == {task.pk, later.pk}


def test_held_step_is_not_counted_as_lost_or_tried(task, lead):
    for _ in range(12):
        running = claim_one().attempt
        hold = holds.place(by=lead, task=task)
        settle(running, Interrupted())
        holds.lift(hold, by=lead)
    assert (state_of(task), states(task)) == ("planning", {"route": "ready"})


def test_pause_and_resume_are_events_and_audited(task, requester, lead):
    hold = holds.place(by=requester, task=task, reason=" Wait. ", address="10.0.0.7")
    assert holds.held(task)
    assert holds.pause_of(task) == hold
    holds.resume(task, by=lead, reason="Go on.", address="10.0.0.8")
    assert not holds.held(task)
    told = Event.objects.filter(kind__in=["task.paused", "task.resumed"]).order_by("seq")
    assert [(e.kind, e.data["by"], e.data["reason"]) for e in told] == [
        ("task.paused", "Mira Ode", "Wait."),
        ("task.resumed", "Dana Kim", "Go on."),
    ]
    written = AuditEntry.objects.filter(action__startswith="hold.").order_by("id")
    assert [(a.action, a.actor, a.address, a.project_id) for a in written] == [
        ("hold.placed", requester, "10.0.0.7", task.project_id),
        ("hold.lifted", lead, "10.0.0.8", task.project_id),
    ]
    assert written[0].detail == {"scope": "task", "reason": "Wait.", "task": task.label}


def test_placing_and_lifting_twice_change_nothing_more(task, requester, lead):
    hold = holds.place(by=requester, task=task, reason="First.")
    assert holds.place(by=lead, task=task, reason="Second.") == hold
    holds.lift(hold, by=lead)
    lifted = Hold.objects.get().lifted_at
    holds.lift(hold, by=requester)
    assert holds.resume(task, by=requester) is None
    only = Hold.objects.get()
    assert (only.reason, only.lifted_by, only.lifted_at) == ("First.", lead, lifted)
    assert AuditEntry.objects.filter(action__startswith="hold.").count() == 2


def test_rights_by_scope(task, project, agents, requester, lead, second_lead, stranger, admin):
    may = {
        "task": {requester, lead, second_lead},
        "project": {lead, second_lead, admin},
        "agent": {admin},
        "everything": {admin},
    }
    aimed = {"task": task, "project": project, "agent": agents["coder"], "everything": None}
    for scope, allowed in may.items():
        target = {} if scope == "everything" else {scope: aimed[scope]}
        for who in (requester, lead, second_lead, stranger, admin):
            if who in allowed:
                hold = holds.place(by=who, **target)
                assert holds.may_act(who, hold)
                holds.lift(hold, by=who)
                continue
            with pytest.raises(NotAllowed):
                holds.place(by=who, **target)
            hold = holds.place(by=next(iter(allowed)), **target)
            with pytest.raises(NotAllowed):
                holds.lift(hold, by=who)
            holds.lift(hold, by=next(iter(allowed)))


def test_disabled_person_holds_nothing(task, admin):
    admin.is_active = False
    with pytest.raises(NotAllowed):
        holds.place(by=admin)


def test_member_without_the_role_cannot_pause_the_task_of_another(task, project, stranger):
    project.memberships.create(user=stranger, role="requester")
    with pytest.raises(NotAllowed, match="Only who asked for it or a tech lead"):
        holds.place(by=stranger, task=task)


def test_finished_task_cannot_be_paused_and_a_stopped_one_keeps_no_pause(task, lead):
    holds.place(by=lead, task=task)
    stopping.stop(Task.objects.get(), by=lead)
    assert Hold.objects.get().lifted_by == lead
    with pytest.raises(TransitionRefused, match="nothing to pause"):
        holds.place(by=lead, task=task)


def test_reason_that_is_too_long_and_two_aims_are_refused(task, project, admin, lead):
    with pytest.raises(InvalidInput, match="4,000"):
        holds.place(by=lead, task=task, reason="x" * 4_001)
    with pytest.raises(InvalidInput, match="Hold one thing"):
        holds.place(by=admin, task=task, project=project)
    assert not Hold.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("aim", AIMS)
def test_many_people_at_once_make_one_hold(task, lead, second_lead, admin, aims, aim):
    people = [admin] * 4 if aim in {"agent", "everything"} else [lead, second_lead] * 2
    got = at_once(*(lambda who=who: holds.place(by=who, **aims[aim]).pk for who in people))
    assert len(set(got)) == 1
    assert Hold.objects.count() == AuditEntry.objects.filter(action="hold.placed").count() == 1


@pytest.mark.django_db(transaction=True)
def test_place_against_lift_and_claim_leave_one_of_two_ends(task, admin, lead):
    """A hundred rounds: a step is never leased under a hold that everybody has seen placed."""
    step = Step.objects.get()
    for _ in range(100):
        before = holds.place(by=lead, task=task)
        acts = [lambda: holds.place(by=lead, task=task), lambda: claim("worker-a", limit=1)]
        at_once(*acts, lambda before=before: holds.lift(before, by=lead))
        step.refresh_from_db()
        if holds.held(task):
            assert Hold.objects.open().count() == 1
            assert lease.held("worker-a", [step.pk]) == {}
            holds.resume(task, by=lead)
        if step.state == "leased":
            assert lease.held("worker-a", [step.pk]) == {step.pk: step.attempt}
            assert settle(step.attempts.get(number=step.attempt), Interrupted())
    numbers = list(Event.objects.filter(task=task).order_by("seq").values_list("seq", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    kinds = Event.objects.filter(task=task, kind__startswith="task.").values_list("kind", flat=True)
    told = [kind for kind in kinds.order_by("seq") if kind in {"task.paused", "task.resumed"}]
    assert told == ["task.paused", "task.resumed"] * (len(told) // 2)


@pytest.mark.django_db(transaction=True)
def test_pause_against_the_end_of_the_task(project, requester, lead, agents):
    """Either the pause is refused, or the task ended with its pause lifted."""
    for _ in range(25):
        made = submit(project=project, requester=requester, request="x").task

        def pause(made=made) -> str:
            try:
                return holds.place(by=lead, task=made).scope
            except TransitionRefused:
                return "refused"

        at_once(pause, lambda made=made: stopping.stop(made, by=lead))
        assert state_of(made) == "cancelled"
        assert not Hold.objects.open().exists()


def at_once(*acts) -> list:
    """Do all of these at the same moment, each on a connection of its own."""
    start, got, faults = threading.Barrier(len(acts)), [], []

    def run(act) -> None:
        start.wait()
        try:
            got.append(act())
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []
    return got
