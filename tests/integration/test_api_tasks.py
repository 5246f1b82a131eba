"""Tasks over the API: submit, list, look, steer."""

from __future__ import annotations

import uuid

import pytest

from agents import escalations
from agents.lifecycle import StepState, TaskState
from agents.models import Escalation, Event, Task
from agents.models.tasks import Rule
from tests.api_fixtures import URL, by_session, by_token, make_crew, submitted

REQUEST = "Fix the billing bug & update docs"


@pytest.fixture(autouse=True)
def crew(db):
    make_crew()


@pytest.fixture
def body(project):
    return {"project": project.slug, "request": REQUEST}


def test_a_request_is_accepted_with_its_links(requester, body):
    answer = by_token(requester).post(URL, body)
    assert answer.status_code == 202
    receipt = answer.json()
    task = Task.objects.get()
    assert receipt["id"] == str(task.pk)
    assert receipt["number"] == task.number
    assert receipt["state"] == "queued"
    assert uuid.UUID(receipt["id"]).version == 7
    base = f"http://testserver/api/v1/tasks/{task.pk}"
    assert receipt["links"] == {
        "self": base,
        "events": f"{base}/events",
        "stream": f"{base}/stream",
        "websocket": f"ws://testserver/ws/tasks/{task.pk}",
        "console": f"http://testserver/tasks/T-{task.number}",
    }
    assert answer.headers["Location"] == base


def test_a_secure_page_gets_a_secure_websocket(requester, body):
    receipt = by_session(requester).post(URL, body, secure=True).json()
    assert receipt["links"]["websocket"].startswith("wss://")


def test_limits_agents_and_context_reach_the_task(requester, body):
    more = {"limits": {"usd": 1.5, "rounds": 2}, "agents": ["coder"], "context": {"ticket": "B-7"}}
    assert by_token(requester).post(URL, {**body, **more}).status_code == 202
    task = Task.objects.get()
    assert (task.limits["usd"], task.limits["rounds"]) == (1.5, 2)
    assert task.requested_agents == ["coder"]
    assert task.context == {"ticket": "B-7"}


def test_one_key_and_one_body_give_one_task_and_one_answer(requester, body):
    call, headers = by_token(requester), {"Idempotency-Key": "k-1"}
    first = call.post(URL, body, headers=headers)
    Task.objects.get().move(TaskState.PLANNING)
    again = call.post(URL, body, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert Task.objects.count() == 1


def test_one_key_with_another_body_is_422(requester, body):
    call, headers = by_token(requester), {"Idempotency-Key": "k-1"}
    call.post(URL, body, headers=headers)
    other = call.post(URL, {**body, "request": "Something else"}, headers=headers)
    assert other.status_code == 422
    assert Task.objects.count() == 1


def test_a_list_is_paged_without_gap_or_duplicate(project, requester):
    tasks = [submitted(project, requester, f"Do thing {number}") for number in range(5)]
    call, url, seen = by_token(requester), f"{URL}?limit=2&project={project.slug}", []
    while url:
        answer = call.get(url.removeprefix("http://testserver")).json()
        seen += [row["id"] for row in answer["results"]]
        url = answer["next"]
    assert seen == [str(task.pk) for task in reversed(tasks)]


def test_a_list_is_filtered(project, requester, lead):
    mine, other = submitted(project, requester), submitted(project, lead)
    other.move(TaskState.PLANNING)
    call = by_token(requester)
    assert [row["id"] for row in call.get(f"{URL}?mine=1").json()["results"]] == [str(mine.pk)]
    found = call.get(f"{URL}?state=planning").json()["results"]
    assert [row["id"] for row in found] == [str(other.pk)]
    assert call.get(f"{URL}?project=elsewhere").json() == {"results": [], "next": None}


def test_a_task_shows_everything_done_for_it(project, requester):
    task = submitted(project, requester)
    answer = by_token(requester).get(f"{URL}/{task.pk}").json()
    assert answer["label"] == task.label
    assert answer["requester"] == {"id": str(requester.pk), "name": "Mira Ode"}
    assert answer["rehearsal"] is True
    [step] = answer["plan"]["steps"]
    assert (step["agent"], step["state"], step["depends_on"]) == ("router", "ready", [])
    assert answer["usage"]["tokens"] == {"used": 0, "limit": 600_000}
    assert answer["usage"]["rounds"] == {"used": 1, "limit": 3}
    assert (answer["proposal"], answer["approval"], answer["escalations"]) == (None, None, [])


def test_events_are_read_from_a_cursor_on(project, requester):
    task = submitted(project, requester)
    for number in range(4):
        task.record("message", {"text": str(number)})
    call, base = by_token(requester), f"{URL}/{task.pk}/events"
    answer = call.get(f"{base}?after=1&limit=2").json()
    assert [event["seq"] for event in answer["results"]] == [2, 3]
    rest = call.get(answer["next"].removeprefix("http://testserver")).json()
    assert [event["seq"] for event in rest["results"]] == [4, 5]
    assert rest["next"] is None
    assert set(rest["results"][0]) == {"seq", "kind", "at", "step", "data"}


def test_a_task_is_stopped_once(project, requester):
    task = submitted(project, requester)
    call = by_token(requester)
    answer = call.post(f"{URL}/{task.pk}/cancel", {"reason": "Not needed"})
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    again = call.post(f"{URL}/{task.pk}/cancel")
    assert (again.status_code, again.json()["state"]) == (409, "cancelled")


def test_a_task_is_stopped_without_any_body(project, requester):
    task = submitted(project, requester)
    answer = by_token(requester)("POST", f"{URL}/{task.pk}/cancel", raw=b"")
    assert answer.status_code == 200


def test_a_note_becomes_an_event(project, requester):
    task = submitted(project, requester)
    answer = by_token(requester).post(f"{URL}/{task.pk}/notes", {"text": "Mind the docs"})
    assert answer.status_code == 200
    event = Event.objects.get(task=task, seq=answer.json()["seq"])
    assert event.data["text"] == "Mind the docs"


def test_a_note_to_a_task_that_is_over_is_409_with_its_state(project, requester):
    task = submitted(project, requester)
    call = by_token(requester)
    call.post(f"{URL}/{task.pk}/cancel")
    answer = call.post(f"{URL}/{task.pk}/notes", {"text": "Too late"})
    assert (answer.status_code, answer.json()["state"]) == (409, "cancelled")


@pytest.fixture
def escalation(project, requester) -> Escalation:
    task = submitted(project, requester)
    task.move(TaskState.PLANNING)
    step = task.steps.get()
    step.task = task
    step.move(StepState.LEASED, attempt=1, lease_until=task.created_at, lease_owner="test")
    step.attempts.create(number=1, worker="test")
    return escalations.raise_for(
        step, rule=Rule.MAX_TURNS, detail="All 5 turns were used.", evidence={}
    )


def test_an_escalation_is_shown_and_resolved_once(escalation, requester):
    call, url = by_token(requester), f"{URL}/{escalation.task_id}"
    [shown] = call.get(url).json()["escalations"]
    assert (shown["id"], shown["rule"]) == (str(escalation.pk), "max_turns")
    choice = {"choice": "raise_limit_once", "note": "Go on"}
    answer = call.post(f"{url}/escalations/{escalation.pk}", choice)
    assert (answer.status_code, answer.json()["state"]) == (200, "resolved")
    again = call.post(f"{url}/escalations/{escalation.pk}", choice)
    assert (again.status_code, again.json()["state"]) == (409, "resolved")


def test_an_escalation_of_another_task_is_404(escalation, project, requester):
    other = submitted(project, requester)
    answer = by_token(requester).post(
        f"{URL}/{other.pk}/escalations/{escalation.pk}", {"choice": "stop"}
    )
    assert answer.status_code == 404


def test_a_stream_sent_to_the_wrong_process_says_where_it_belongs(project, requester):
    task = submitted(project, requester)
    answer = by_token(requester).get(f"{URL}/{task.pk}/stream")
    assert answer.status_code == 503
