"""Escalations and single steps over the API: what is told, what is taken, what is refused."""

from __future__ import annotations

import pytest

from agents.finishing import settle
from agents.models import Attempt, Escalation, Step, Task
from agents.models.tasks import Rule
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, NeedsHuman
from projects.models import AuditEntry, Membership, Role
from tests import runtime_fixtures
from tests.api_fixtures import URL, by_session, by_token
from tests.runtime_fixtures import plan_step, planned, result, state_of

agents = runtime_fixtures.agents
task = runtime_fixtures.task


@pytest.fixture
def asked(task) -> Escalation:
    """A step waits for a person, another one is at work."""
    planned(task, plan_step("a"), plan_step("b", "tester"))
    claim("worker-a", limit=9)
    attempt = Attempt.objects.get(step__key="a", state="running")
    settle(attempt, NeedsHuman(rule=Rule.REPEATED_CALL, detail="It tripped.", evidence={"n": 3}))
    return Escalation.objects.get()


def url(asked: Escalation) -> str:
    return f"{URL}/{asked.task_id}/escalations/{asked.pk}"


def test_task_tells_the_open_question_with_who_else_could_do_it(asked, requester):
    [shown] = by_token(requester).get(f"{URL}/{asked.task_id}").json()["escalations"]
    assert shown["options"] == [
        "retry_with_note",
        "reassign",
        "take_over",
        "go_on_without",
        "stop",
    ]
    assert shown["candidates"] == [
        {"slug": "tech-writer", "name": "Tech-Writer agent"},
        {"slug": "tester", "name": "Tester agent"},
    ]
    assert (shown["evidence"], shown["state"]) == ({"n": 3}, "open")
    assert (shown["reassigned_to"], shown["resolved_by"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"choice": "retry_with_note", "note": "Once."}, "ready"),
        ({"choice": "reassign", "agent": "tester"}, "ready"),
        ({"choice": "take_over", "note": "Did it."}, "done"),
        ({"choice": "go_on_without"}, "cancelled"),
        ({"choice": "stop", "note": "Enough."}, "cancelled"),
    ],
)
def test_token_of_the_requester_answers(asked, requester, body, state):
    answer = by_token(requester, "tasks:write").post(url(asked), body, REMOTE_ADDR="192.0.2.8")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["state"], shown["choice"]) == ("resolved", body["choice"])
    assert shown["reassigned_to"] == body.get("agent")
    assert shown["resolved_by"]["name"] == "Mira Ode"
    assert Step.objects.get(key="a").state == state
    [entry] = AuditEntry.objects.filter(action="escalation.resolved")
    assert (entry.address, entry.detail["choice"]) == ("192.0.2.8", body["choice"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "choice"),
        ({"choice": "burn"}, "choice"),
        ({"choice": ["stop"]}, "choice"),
        ({"choice": "raise_limit_once"}, "choice"),
        ({"choice": "reassign"}, "agent"),
        ({"choice": "reassign", "agent": "coder"}, "agent"),
        ({"choice": "reassign", "agent": "x" * 61}, "agent"),
        ({"choice": "reassign", "agent": 7}, "agent"),
        ({"choice": "retry_with_note", "agent": "tester"}, "agent"),
        ({"choice": "retry_with_note", "note": "x" * 4_001}, "note"),
        ({"choice": "take_over"}, "note"),
        ({"choice": "take_over", "note": "x" * 20_001}, "note"),
        ({"choice": "take_over", "note": "x", "commit": "x" * 201}, "commit"),
        ({"choice": "go_on_without", "commit": "main"}, "commit"),
        ({"choice": "stop", "by": "me"}, "by"),
    ],
)
def test_bad_answer_names_its_field_and_changes_nothing(asked, requester, body, field):
    answer = by_token(requester).post(url(asked), body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    asked.refresh_from_db()
    assert (asked.state, state_of(asked.task)) == ("open", "needs_human")


@pytest.mark.parametrize("choice", ["retry_with_note", "stop"])
def test_second_answer_is_told_who_was_first_and_what(asked, requester, lead, choice):
    by_token(requester).post(url(asked), {"choice": "go_on_without"})
    late = by_token(lead).post(url(asked), {"choice": choice})
    assert (late.status_code, late.json()["state"]) == (409, "resolved")
    assert late.json()["detail"].startswith("Mira Ode answered this at ")
    assert "go on without it" in late.json()["detail"]
    assert state_of(asked.task) == "working"


def test_answer_after_the_stop_is_too_late(asked, requester, lead):
    by_session(lead).post(f"{URL}/{asked.task_id}/cancel", {"reason": "No."})
    late = by_token(requester).post(url(asked), {"choice": "take_over", "note": "x"})
    assert (late.status_code, late.json()["state"]) == (409, "resolved")
    assert "Dana Kim" in late.json()["detail"]
    stopped = AuditEntry.objects.get(action="task.stopped")
    assert stopped.address == "127.0.0.1"


def test_others_of_the_project_may_look_but_not_answer(asked, project, stranger):
    assert by_token(stranger).post(url(asked), {"choice": "stop"}).status_code == 404
    Membership.objects.create(user=stranger, project=project, role=Role.REQUESTER)
    assert by_token(stranger).post(url(asked), {"choice": "stop"}).status_code == 403
    reader = by_token(stranger, "tasks:read")
    assert reader.post(url(asked), {"choice": "stop"}).status_code == 403


def test_finished_step_is_sent_again(asked, requester):
    settle(Attempt.objects.get(step__key="b", state="running"), Finished(result()))
    step = Step.objects.get(key="b")
    path = f"{URL}/{asked.task_id}/steps/{step.pk}/retry"
    call = by_token(requester)
    made = call.post(path, {"note": "Half even."})
    assert (made.status_code, made.json()["key"], made.json()["state"]) == (200, "b~2", "ready")
    again = call.post(path, {"note": "Half even."})
    assert (again.status_code, again.json()["state"]) == (409, "done")
    for body in ({}, {"note": ""}, {"note": "x" * 4_001}, {"note": 7}, {"note": "x", "to": "y"}):
        assert call.post(path, body).status_code == 400, body


def test_step_of_another_task_or_person_is_404(asked, requester, stranger, project):
    step = Step.objects.get(key="b")
    other = Task.objects.create(
        project=project, requester=requester, title="x", model="x", request_digest="0" * 64
    )
    path = f"{URL}/{other.pk}/steps/{step.pk}/retry"
    assert by_token(requester).post(path, {"note": "x"}).status_code == 404
    mine = f"{URL}/{asked.task_id}/steps/{step.pk}/retry"
    assert by_token(stranger).post(mine, {"note": "x"}).status_code == 404
