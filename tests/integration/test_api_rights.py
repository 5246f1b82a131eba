"""Every endpoint against everybody who may or may not call it."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from agents import holds
from countersign.api.urls import urlpatterns
from memory import lessons
from projects import tokens
from projects.models import ApiToken, Membership, Project, Role
from tests.api_fixtures import Caller, by_session, by_token, submitted
from tests.approval_fixtures import make_report
from tests.call_fixtures import make_tool, waiting_call
from tests.standing_fixtures import standing_grant

# Every endpoint and method: the scope a token needs, None when no token may.
ENDPOINTS = [
    ("POST", "tasks", "", "tasks:write"),
    ("GET", "tasks", "", "tasks:read"),
    ("GET", "task", "task", "tasks:read"),
    ("GET", "task_events", "task", "tasks:read"),
    ("GET", "task_stream", "task", "tasks:read"),
    ("POST", "task_cancel", "task", "tasks:write"),
    ("POST", "task_pause", "task", "tasks:write"),
    ("POST", "task_resume", "task", "tasks:write"),
    ("POST", "task_notes", "task", "tasks:write"),
    ("POST", "task_escalation", "task", "tasks:write"),
    ("POST", "step_retry", "task", "tasks:write"),
    ("GET", "approvals", "", "approvals:read"),
    ("GET", "approval", "approval", "approvals:read"),
    ("POST", "bulk", "", None),
    ("POST", "signatures", "approval", None),
    ("POST", "viewed", "approval", None),
    ("POST", "edits", "approval", None),
    ("POST", "snooze", "approval", None),
    ("DELETE", "snooze", "approval", None),
    ("POST", "assignment", "approval", None),
    ("DELETE", "assignment", "approval", None),
    ("POST", "undo", "approval", None),
    ("POST", "revert", "approval", None),
    ("POST", "propose_again", "approval", None),
    ("GET", "absence", "", "approvals:read"),
    ("PUT", "absence", "", None),
    ("DELETE", "absence", "", None),
    ("GET", "policy", "project", "approvals:read"),
    ("PUT", "policy", "project", None),
    ("GET", "calls", "", "approvals:read"),
    ("GET", "call", "call", "approvals:read"),
    ("POST", "call_decision", "call", None),
    ("POST", "call_undo", "call", None),
    ("POST", "call_snooze", "call", None),
    ("DELETE", "call_snooze", "call", None),
    ("POST", "call_assignment", "call", None),
    ("DELETE", "call_assignment", "call", None),
    ("GET", "standing_grants", "", "approvals:read"),
    ("GET", "standing_grant", "standing_grant", "approvals:read"),
    ("POST", "revoke_standing_grant", "standing_grant", None),
    ("GET", "views", "", "approvals:read"),
    ("POST", "views", "", None),
    ("PATCH", "view", "view", None),
    ("DELETE", "view", "view", None),
    ("GET", "holds", "", "tasks:read"),
    ("POST", "holds", "", "tasks:write"),
    ("GET", "hold", "hold", "tasks:read"),
    ("DELETE", "hold", "hold", "tasks:write"),
    ("GET", "notifications", "", "notifications:read"),
    ("POST", "notifications_read", "", "notifications:write"),
    ("GET", "notification_preferences", "", "notifications:read"),
    ("PUT", "notification_preferences", "", "notifications:write"),
    ("GET", "memories", "", "memory:read"),
    ("POST", "memory_search", "", "memory:read"),
    ("GET", "memory", "memory", "memory:read"),
    ("PATCH", "memory", "memory", "memory:write"),
    ("DELETE", "memory", "memory", "memory:write"),
]
OPEN = {"schema", "docs", "unknown_address"}
OF_ONE_ROW = [row for row in ENDPOINTS if row[2]]


@pytest.fixture
def rows(project, requester, lead):
    """One row of each kind, in one project."""
    from approvals import saving, sealing

    approval = sealing.seal(make_report(project, requester))
    memory = lessons.propose(
        project, content="Money is rounded half even.", source="user_stated", by=lead
    )
    task = submitted(project, requester)
    view = saving.save(name="High", query="risk:high", by=lead)
    paused = holds.place(by=lead, task=submitted(project, requester)).pk
    make_tool()
    found = {
        "task": task.pk,
        "approval": approval.pk,
        "memory": memory.pk,
        "hold": paused,
        "view": view.pk,
        "call": waiting_call(project, requester).pk,
        "standing_grant": standing_grant(project, requester, lead).pk,
    }
    return {**found, "project": project.slug, "": None}


def path_of(name, pk):
    route = next(str(each.pattern) for each in urlpatterns if each.name == name)
    path = re.sub(
        "<uuid:(escalation|step)_pk>",
        str(uuid.uuid4()),
        route.replace("<uuid:pk>", str(pk)).replace("<slug:slug>", str(pk)),
    )
    return f"/api/{path}"


def test_no_endpoint_is_missing_from_this_table():
    assert {row[1] for row in ENDPOINTS} | OPEN == {each.name for each in urlpatterns}


def test_no_method_is_missing_from_this_table():
    written = {(row[1], row[0]) for row in ENDPOINTS}
    for each in urlpatterns:
        view = getattr(each.callback, "cls", None)
        if each.name in OPEN or view is None:
            continue
        methods = {name.upper() for name in view.http_method_names if hasattr(view, name)}
        assert {(each.name, method) for method in methods - {"OPTIONS"}} <= written


@pytest.mark.parametrize(("method", "name", "kind", "_scope"), ENDPOINTS)
def test_nobody_is_401(rows, method, name, kind, _scope):
    answer = Caller(None)(method, path_of(name, rows[kind]), {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "name", "kind", "_scope"), OF_ONE_ROW)
@pytest.mark.parametrize("who", ["stranger", "admin", "other_lead"])
def test_a_foreign_row_is_404_like_one_that_never_was(
    request, rows, method, name, kind, _scope, who
):
    person = request.getfixturevalue(who)
    call = by_session(person)
    foreign = call(method, path_of(name, rows[kind]), {})
    unknown_path = path_of(name, uuid.uuid4())
    unknown = call(method, unknown_path, {})
    assert foreign.status_code == unknown.status_code == 404
    forget = ("instance",)
    documents = [
        {key: value for key, value in json.loads(answer.content).items() if key not in forget}
        for answer in (foreign, unknown)
    ]
    assert documents[0] == documents[1]


@pytest.fixture
def other_project(db):
    return Project.objects.create(slug="other", name="other", repository="/nowhere.git")


@pytest.fixture
def other_lead(stranger, other_project):
    Membership.objects.create(user=stranger, project=other_project, role=Role.LEAD)
    return stranger


@pytest.mark.parametrize("name", ["tasks", "approvals", "memories", "holds", "standing_grants"])
def test_a_list_never_shows_foreign_rows(rows, other_lead, name):
    assert by_token(other_lead).get(path_of(name, None)).json()["results"] == []


def test_search_never_finds_foreign_memories(rows, lead, other_lead):
    from memory.models import Memory

    lessons.keep(Memory.objects.get(pk=rows["memory"]), by=lead)
    body = {"query": "money rounded"}
    assert by_token(lead).post("/api/v1/memories/search", body).json()["results"]
    assert by_token(other_lead).post("/api/v1/memories/search", body).json()["results"] == []


@pytest.mark.parametrize(("method", "name", "kind", "scope"), ENDPOINTS)
def test_a_token_without_the_scope_is_403(rows, lead, method, name, kind, scope):
    scopes = [each for each in tokens.SCOPES if each != scope]
    answer = by_token(lead, *scopes)(method, path_of(name, rows[kind]), {})
    assert answer.status_code == 403
    said = answer.json()["detail"]
    assert (scope in said) if scope else said.startswith("A token never decides")


@pytest.mark.parametrize(("method", "name", "kind", "scope"), [row for row in ENDPOINTS if row[3]])
def test_a_token_with_the_one_scope_passes(rows, lead, method, name, kind, scope):
    answer = by_token(lead, scope)(method, path_of(name, rows[kind]), {})
    assert answer.status_code not in {401, 404} or name in {"task_escalation", "step_retry"}
    if (method, name) != ("PATCH", "memory"):  # no change is asked, which only a person may
        assert answer.status_code != 403


def test_a_token_may_ask_for_the_head_of_what_it_may_get(rows, lead):
    path = path_of("task", rows["task"])
    for scope, status in (("tasks:read", 200), ("memory:read", 403)):
        call = by_token(lead, scope)
        assert call.client.head(path, headers=call.headers).status_code == status


@pytest.mark.parametrize(("method", "name"), [("GET", "task_cancel"), ("PUT", "task")])
def test_a_token_is_told_when_there_is_no_such_method(rows, lead, method, name):
    answer = by_token(lead)(method, path_of(name, rows["task"]))
    assert answer.status_code == 405


@pytest.mark.parametrize(("method", "name", "kind", "scope"), [r for r in OF_ONE_ROW if r[3]])
def test_a_token_of_another_project_sees_nothing_here(
    rows, lead, other_project, method, name, kind, scope
):
    Membership.objects.create(user=lead, project=other_project, role=Role.LEAD)
    call = by_token(lead, project=other_project)
    assert call(method, path_of(name, rows[kind]), {}).status_code == 404


def test_a_token_of_another_project_lists_nothing_and_submits_nothing_here(
    rows, lead, project, other_project
):
    Membership.objects.create(user=lead, project=other_project, role=Role.LEAD)
    call = by_token(lead, project=other_project)
    for name in ("tasks", "approvals", "memories", "holds"):
        assert call.get(path_of(name, None)).json()["results"] == []
    body = {"project": project.slug, "request": "Fix it"}
    assert call.post("/api/v1/tasks", body).status_code == 404
    search = {"query": "money", "project": project.slug}
    assert call.post("/api/v1/memories/search", search).status_code == 404


@pytest.mark.parametrize("fault", ["revoked", "expired", "disabled", "wrong", "cut", "none"])
def test_a_dead_token_is_401(lead, fault):
    token, text = tokens.issue(lead, name="test")
    if fault == "revoked":
        ApiToken.objects.update(revoked_at=timezone.now())
    elif fault == "expired":
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif fault == "disabled":
        lead.is_active = False
        lead.save()
    text = {"wrong": text[:-1] + "~", "cut": f"cs_{token.key}", "none": "x"}.get(fault, text)
    assert Caller(None, token=text).get("/api/v1/tasks").status_code == 401


@pytest.mark.parametrize("text", ["", "\x00", "cs_\ud83d", "cs_é_é", "cs__", "cs_" + "x" * 9000])
def test_nonsense_as_a_token_is_401(db, text):
    header = f"Bearer {text}".encode("utf-8", "surrogatepass").decode("latin-1")
    answer = Caller(None).get("/api/v1/tasks", headers={"Authorization": header})
    assert answer.status_code == 401


def test_a_session_needs_the_csrf_token_to_change_anything(project, requester):
    call = by_session(requester, csrf=True)
    body = {"project": project.slug, "request": "Fix it"}
    answer = call.post("/api/v1/tasks", body)
    assert (answer.status_code, "CSRF" in answer.json()["detail"]) == (403, True)
    assert call.get("/api/v1/tasks").status_code == 200


def test_somebody_who_left_the_project_sees_nothing_any_more(rows, lead):
    call = by_token(lead)
    path = path_of("task", rows["task"])
    assert call.get(path).status_code == 200
    Membership.objects.filter(user=lead).delete()
    assert call.get(path).status_code == 404
