"""Holds over the API: the same rights, the same rows, told as problems when they cannot be."""

from __future__ import annotations

import pytest

from agents import holds
from agents.models import Agent, Hold
from projects.models import AuditEntry, Project
from tests.api_fixtures import by_session, by_token, submitted

pytestmark = pytest.mark.django_db
URL = "/api/v1/holds"


@pytest.fixture
def task(project, requester):
    return submitted(project, requester)


def test_pause_and_resume_show_the_task_with_its_hold(task, requester):
    call = by_token(requester, "tasks:write")
    paused = call.post(f"/api/v1/tasks/{task.pk}/pause", {"reason": "Wait."})
    assert paused.status_code == 200
    (hold,) = paused.json()["holds"]
    assert (hold["scope"], hold["task"], hold["reason"]) == ("task", str(task.pk), "Wait.")
    assert hold["placed_by"]["name"] == "Mira Ode"
    assert call.post(f"/api/v1/tasks/{task.pk}/pause").json()["holds"] == [hold]
    assert call.post(f"/api/v1/tasks/{task.pk}/resume").json()["holds"] == []
    assert call.post(f"/api/v1/tasks/{task.pk}/resume").status_code == 200
    written = AuditEntry.objects.filter(action__startswith="hold.").order_by("id")
    assert [(row.action, row.address) for row in written] == [
        ("hold.placed", "127.0.0.1"),
        ("hold.lifted", "127.0.0.1"),
    ]


def test_paused_task_that_is_over_is_a_conflict(task, lead):
    type(task).objects.update(state="cancelled", finished_at=task.created_at)
    answer = by_session(lead).post(f"/api/v1/tasks/{task.pk}/pause")
    assert answer.status_code == 409
    assert "nothing to pause" in answer.json()["detail"]


def test_member_who_is_neither_requester_nor_lead_may_not_pause(task, project, stranger):
    project.memberships.create(user=stranger, role="requester")
    answer = by_session(stranger).post(f"/api/v1/tasks/{task.pk}/pause")
    assert answer.status_code == 403
    assert not Hold.objects.exists()


def test_kill_switch_is_placed_listed_and_lifted(task, admin, requester):
    call = by_session(admin)
    made = call.post(URL, {"scope": "everything", "reason": "Bad release."})
    assert made.status_code == 201
    assert call.post(URL, {"scope": "everything"}).json() == made.json()
    seen = by_token(requester).get(URL).json()["results"]
    assert seen == [made.json()]
    assert by_session(requester)("DELETE", f"{URL}/{made.json()['id']}").status_code == 403
    lifted = call("DELETE", f"{URL}/{made.json()['id']}")
    assert lifted.status_code == 200
    assert lifted.json()["lifted_by"]["name"] == "Ada Admin"
    assert call("DELETE", f"{URL}/{made.json()['id']}").status_code == 404
    assert call.get(URL).json() == {"results": [], "next": None}


def test_each_scope_names_its_one_thing(task, project, lead, admin):
    by_lead, by_admin = by_session(lead), by_session(admin)
    assert by_lead.post(URL, {"scope": "project", "project": project.slug}).status_code == 201
    assert by_admin.post(URL, {"scope": "agent", "agent": "coder"}).json()["agent"] == "coder"
    made = by_lead.post(URL, {"scope": "task", "task": str(task.pk)})
    assert made.json()["task"] == str(task.pk)
    listed = by_lead.get(f"{URL}?scope=project").json()["results"]
    assert [row["project"] for row in listed] == [project.slug]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scope": "world"}, "scope"),
        ({"scope": "task"}, "task"),
        ({"scope": "project", "task": "0" * 32}, "task"),
        ({"scope": "everything", "project": "acme-billing"}, "project"),
        ({"scope": "task", "task": "x"}, "task"),
        ({"scope": "everything", "reason": "x" * 4_001}, "reason"),
        ({"scope": "everything", "until": "never"}, "until"),
    ],
)
def test_wrong_body_is_400_and_names_the_field(task, admin, body, field):
    answer = by_session(admin).post(URL, body)
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert not Hold.objects.exists()


@pytest.mark.parametrize("scope", ["agent", "everything"])
def test_only_an_admin_holds_what_reaches_beyond_a_project(task, project, lead, admin, scope):
    body = {"scope": scope, **({"agent": "coder"} if scope == "agent" else {})}
    assert by_session(lead).post(URL, body).status_code == 403
    narrow = by_token(admin, project=project)
    refused = narrow.post(URL, body)
    assert refused.status_code == 403
    assert "one project" in refused.json()["detail"]
    hold = holds.place(by=admin, **({} if scope == "everything" else {"agent": _coder()}))
    assert narrow("DELETE", f"{URL}/{hold.pk}").status_code == 403


def test_unknown_things_and_foreign_projects_are_404(task, stranger, admin):
    foreign = Project.objects.create(slug="foreign", name="f", repository="/x.git")
    call = by_session(stranger)
    for body in (
        {"scope": "project", "project": foreign.slug},
        {"scope": "project", "project": "nothing"},
        {"scope": "task", "task": str(task.pk)},
        {"scope": "task", "task": str(foreign.pk)},
    ):
        assert call.post(URL, body).status_code == 404
    assert by_session(admin).post(URL, {"scope": "agent", "agent": "nobody"}).status_code == 404


def test_session_without_the_csrf_token_changes_nothing(task, admin):
    assert by_session(admin, csrf=True).post(URL, {"scope": "everything"}).status_code == 403
    assert not Hold.objects.exists()


def _coder():

    return Agent.objects.get(slug="coder")
