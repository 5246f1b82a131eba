"""The bell's page, the settings, the API and the admin: one's own, and changed by POST only."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notices import reading
from notices.lockbox import unlock
from notices.models import Choice, Delivery, Hours, Kind, Notice, Notification, Webhook
from projects.models import AuditEntry, Membership, Project, Role
from tests.api_fixtures import by_session, by_token
from tests.call_fixtures import make_tool, waiting_call
from tests.notice_fixtures import happens, make_webhook, read_all, sealed

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/notifications"
API = "/api/v1/notifications"


@pytest.fixture(autouse=True)
def _begun(db):
    reading.begin()


@pytest.fixture
def approval(project, requester, lead):
    approval = sealed(project, requester)
    read_all()
    return approval


def test_the_bell_counts_what_is_not_read(client, lead, approval):
    client.force_login(lead)
    page = client.get("/tasks").content.decode()
    assert '1<span class="sr-only"> unread</span>' in page
    client.post(f"{PAGE}/read")
    assert "</span> unread" not in client.get("/tasks").content.decode()


def test_a_line_leads_to_its_page_and_is_read_then(client, lead, approval):
    client.force_login(lead)
    page = client.get(PAGE).content.decode()
    line = Notification.objects.get(person=lead)
    assert "Waits for your signature" in page
    assert f'action="{PAGE}/{line.pk}"' in page
    answer = client.post(f"{PAGE}/{line.pk}")
    assert (answer.status_code, answer["Location"]) == (302, f"/review/{approval.task.label}/r1")
    line.refresh_from_db()
    assert line.read_at
    assert AuditEntry.objects.filter(action="notifications.read", actor=lead).count() == 1
    client.post(f"{PAGE}/{line.pk}")
    assert AuditEntry.objects.filter(action="notifications.read").count() == 1


def test_no_seal_is_loaded_to_say_where_lines_lead(client, project, requester, lead):
    make_tool()
    sealed(project, requester)
    waiting_call(project, requester)
    read_all()
    call = by_token(lead)
    with CaptureQueriesContext(connection) as queries:
        rows = call.get(API).json()["results"]
    assert [row["type"] for row in rows] == ["call.asked", "approval.requested"]
    assert "/calls/" in rows[0]["url"]
    assert rows[1]["url"].endswith("/r1")
    assert not [query["sql"] for query in queries if "snapshot" in query["sql"]]


@pytest.mark.parametrize("path", ["/read", "/{pk}"])
def test_a_get_changes_nothing(client, lead, approval, path):
    client.force_login(lead)
    line = Notification.objects.get(person=lead)
    assert client.get(PAGE + path.format(pk=line.pk)).status_code == 405
    client.get(PAGE)
    line.refresh_from_db()
    assert line.read_at is None


@pytest.mark.parametrize("who", ["requester", "second_lead", "stranger", "admin"])
def test_a_line_of_somebody_else_is_not_there(request, client, lead, approval, who):
    client.force_login(request.getfixturevalue(who))
    line = Notification.objects.get(person=lead)
    assert client.post(f"{PAGE}/{line.pk}").status_code == 404
    assert client.post(f"{PAGE}/{uuid.uuid4()}").status_code == 404
    line.refresh_from_db()
    assert line.read_at is None


def test_who_left_the_project_sees_nothing_of_it_any_more(client, lead, approval):
    line = Notification.objects.get(person=lead)
    Membership.objects.filter(user=lead).delete()
    client.force_login(lead)
    page = client.get(PAGE).content.decode()
    assert approval.task.title not in page
    assert client.post(f"{PAGE}/{line.pk}").status_code == 404
    assert by_session(lead).get(API).json()["results"] == []


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/read", "/settings/notifications"])
def test_a_stranger_is_sent_to_sign_in(client, path):
    assert client.get(path)["Location"].startswith("/sign-in")
    assert client.post(path)["Location"].startswith("/sign-in")


def test_a_title_is_shown_as_text(client, project, requester, lead):
    task = sealed(project, requester).task
    type(task).objects.filter(pk=task.pk).update(title="<img src=x onerror=alert(1)>\u202e")
    read_all()
    client.force_login(lead)
    page = client.get(PAGE).content.decode()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "\u202e" not in page


def test_the_list_is_paged_and_asks_little(
    client, project, requester, lead, django_assert_max_num_queries
):
    task = sealed(project, requester).task
    for _ in range(70):
        happens(task, "escalation.raised", rule="blocked")
    read_all()
    client.force_login(lead)
    client.get(PAGE)
    with django_assert_max_num_queries(12):
        first = client.get(PAGE)
    rows = [row.pk for row, *_ in first.context["rows"]]
    older = client.get(f"{PAGE}?tab=all&after={first.context['listed'].after}")
    more = [row.pk for row, *_ in older.context["rows"]]
    assert len(rows) == len(more) == 30
    assert rows + more == sorted(rows + more, reverse=True)
    assert not set(rows) & set(more)


def test_empty_pages_say_so(client, requester, lead, approval):
    client.force_login(requester)
    assert "Nothing yet." in client.get(PAGE).content.decode()
    client.force_login(lead)
    client.post(f"{PAGE}/read")
    assert "You have read everything." in client.get(f"{PAGE}?tab=unread").content.decode()


def test_settings_keep_what_was_chosen(client, project, lead):
    client.force_login(lead)
    fields = {
        "everywhere-asked": "bell",
        "everywhere-outcome": "none",
        f"{project.pk}-asked": "email",
        f"{project.pk}-due": "all",
        "quiet": "on",
        "begins": "22:00",
        "ends": "06:30",
        "zone": "Europe/Berlin",
        "unless_due": "on",
    }
    answer = client.post("/settings/notifications", fields)
    assert answer["Location"] == "/settings#notifications"
    found = Choice.objects.order_by("kind", "project").values_list(
        "project", "kind", "bell", "email"
    )
    assert set(found) == {
        (None, "asked", True, False),
        (None, "outcome", False, False),
        (project.pk, "asked", False, True),
    }
    hours = Hours.objects.get(person=lead)
    assert (f"{hours.begins:%H:%M}", hours.zone, hours.unless_due) == (
        "22:00",
        "Europe/Berlin",
        True,
    )
    page = client.get("/settings").content.decode()
    assert 'value="06:30"' in page
    client.post("/settings/notifications", {f"{project.pk}-asked": "all"})
    assert not Choice.objects.filter(project=project).exists()
    assert not Hours.objects.exists()


def test_who_signs_nothing_is_not_offered_to_be_told_what_to_sign(client, requester, lead):
    asks = "Something waits for your signature"
    client.force_login(requester)
    page = client.get("/settings").text
    assert asks not in page
    assert 'name="everywhere-outcome"' in page
    client.force_login(lead)
    assert asks in client.get("/settings").text


@pytest.mark.parametrize(
    "fields",
    [
        {"quiet": "on", "begins": "25:00", "ends": "07:00", "zone": "UTC"},
        {"quiet": "on", "begins": "22:00", "ends": "", "zone": "UTC"},
        {"quiet": "on", "begins": "22:00", "ends": "07:00", "zone": "Mars"},
        {"quiet": "on", "begins": "22:00", "ends": "22:00", "zone": "UTC"},
    ],
)
def test_settings_that_make_no_sense_change_nothing(client, lead, fields):
    client.force_login(lead)
    answer = client.post(
        "/settings/notifications", {"everywhere-asked": "none", **fields}, follow=True
    )
    assert "Nothing was saved." in answer.content.decode()
    assert not Choice.objects.exists()
    assert not Hours.objects.exists()


def test_a_project_one_is_no_member_of_cannot_be_chosen_for(client, lead, project):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    client.force_login(lead)
    client.post("/settings/notifications", {f"{other.pk}-asked": "none"})
    assert not Choice.objects.exists()


def test_the_api_lists_and_marks_as_read(lead, requester, approval):
    call = by_token(lead)
    (row,) = call.get(API).json()["results"]
    assert row.pop("at")
    line = Notification.objects.get(person=lead)
    assert row == {
        "id": str(line.pk),
        "type": "approval.requested",
        "kind": "asked",
        "project": "acme-billing",
        "task": {
            "id": str(approval.task_id),
            "number": approval.task.number,
            "title": approval.task.title,
        },
        "said": "Waits for your signature",
        "url": f"http://localhost:8000/review/{approval.task.label}/r1",
        "read_at": None,
    }
    other = by_token(requester)
    assert other.post(f"{API}/read", {"ids": [str(line.pk)]}).json() == {"read": 0}
    assert call.post(f"{API}/read", {"ids": [str(line.pk)]}).json() == {"read": 1}
    assert call.post(f"{API}/read", {"all": True}).json() == {"read": 0}
    assert call.get(f"{API}?unread=true").json()["results"] == []
    for body in ({}, {"ids": [], "all": True}, {"ids": ["x"]}, {"all": "yes"}, {"other": 1}):
        assert call.post(f"{API}/read", body).status_code == 400


def test_a_token_of_another_project_neither_lists_nor_reads_here(lead, approval):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=lead, project=other, role=Role.LEAD)
    call = by_token(lead, project=other)
    assert call.get(API).json()["results"] == []
    assert call.post(f"{API}/read", {"all": True}).json() == {"read": 0}
    assert call.get(f"{API}/preferences").status_code == 403
    body = {"quiet": None, "choices": []}
    assert call("PUT", f"{API}/preferences", body).status_code == 403


def test_preferences_are_replaced_as_a_whole(lead, project):
    call = by_token(lead)
    choice = {"project": project.slug, "kind": "due", "bell": False, "email": True}
    general = {"project": None, "kind": "stuck", "bell": True, "email": False}
    quiet = {"begins": "22:00", "ends": "07:00", "zone": "Europe/Berlin", "unless_due": True}
    put = call("PUT", f"{API}/preferences", {"quiet": quiet, "choices": [choice, general]})
    assert put.status_code == 200
    found = call.get(f"{API}/preferences").json()
    assert found["choices"] == [general, choice]
    assert found["quiet"] == quiet
    assert {row["kind"] for row in found["defaults"]} == set(Kind.values)
    call("PUT", f"{API}/preferences", {"quiet": None, "choices": []})
    assert call.get(f"{API}/preferences").json()["choices"] == []
    assert not Hours.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"quiet": None},
        {"quiet": {"begins": "22", "ends": "07:00", "zone": "UTC"}, "choices": []},
        {"quiet": {"begins": 22, "ends": "07:00", "zone": "UTC"}, "choices": []},
        {"quiet": {"begins": "22:00", "ends": "07:00", "zone": "Mars"}, "choices": []},
        {"quiet": None, "choices": [{"project": "nowhere", "kind": "due"}]},
        {
            "quiet": None,
            "choices": [{"project": "nowhere", "kind": "due", "bell": True, "email": True}],
        },
        {"quiet": None, "choices": [{"project": None, "kind": "x", "bell": True, "email": True}]},
        {"quiet": None, "choices": "all"},
    ],
)
def test_preferences_that_make_no_sense_are_400_and_change_nothing(lead, body):
    answer = by_token(lead)("PUT", f"{API}/preferences", body)
    assert answer.status_code == 400
    assert not Choice.objects.exists()


def test_an_admin_adds_a_webhook_whose_secret_is_shown_once(client, admin, project, settings):
    settings.WEBHOOK_HOSTS = []
    client.force_login(admin)
    add = reverse("admin:notices_webhook_add")
    fields = {
        "project": project.pk,
        "name": "ops",
        "style": "standard",
        "kinds": ["stuck"],
        "enabled": "on",
        "url": "https://127.0.0.1/x",
    }
    client.post(add, {**fields, "url": "http://hooks.example.org/x"})
    client.post(add, {**fields, "url": f"https://{'h' * 256}/x"})
    assert not Webhook.objects.exists()
    page = client.post(
        add, {**fields, "url": "https://hooks.example.org/T0/B0"}, follow=True
    ).content.decode()
    webhook = Webhook.objects.get()
    secret = unlock(webhook.secret)
    assert secret in page
    assert (webhook.host, unlock(webhook.address)) == (
        "hooks.example.org",
        "https://hooks.example.org/T0/B0",
    )
    change = reverse("admin:notices_webhook_change", args=[webhook.pk])
    page = client.get(change).content.decode()
    assert secret not in page
    assert "T0/B0" not in page
    client.post(change, {**fields, "url": "", "name": "operations"})
    webhook.refresh_from_db()
    assert (webhook.name, unlock(webhook.secret)) == ("operations", secret)
    assert "T0" not in str(list(AuditEntry.objects.values_list("detail", flat=True)))
    assert secret not in str(list(AuditEntry.objects.values_list("detail", flat=True)))
    client.post(change, {**fields, "url": "", "fresh_secret": "on"})
    webhook.refresh_from_db()
    assert unlock(webhook.secret) != secret


def test_a_webhook_stays_in_its_project(client, admin, project):
    webhook = make_webhook(project, "https://hooks.example.org/x")
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    client.force_login(admin)
    change = reverse("admin:notices_webhook_change", args=[webhook.pk])
    assert 'name="project"' not in client.get(change).content.decode()
    fields = {"project": other.pk, "name": "ops", "style": "standard", "kinds": ["stuck"]}
    client.post(change, fields)
    webhook.refresh_from_db()
    assert (webhook.name, webhook.project) == ("ops", project)


def test_a_webhook_is_not_renamed_to_what_another_of_its_project_is_called(client, admin, project):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    webhook, taken = (make_webhook(project, "https://hooks.example.com/x") for _ in range(2))
    elsewhere = make_webhook(other, "https://hooks.example.com/x")
    client.force_login(admin)
    change = reverse("admin:notices_webhook_change", args=[webhook.pk])
    given = {"style": "standard", "kinds": list(Kind.values), "enabled": "on", "url": ""}
    refused = client.post(change, {**given, "name": taken.name})
    assert refused.status_code == 200
    assert "Another webhook of this project has this name." in refused.content.decode()
    assert client.post(change, {**given, "name": elsewhere.name}).status_code == 302
    webhook.refresh_from_db()
    assert webhook.name == elsewhere.name


def test_an_admin_sends_a_test_and_again_from_the_log(client, admin, project):
    webhook = make_webhook(project, "https://hooks.example.org/x")
    client.force_login(admin)
    hooks, log = (reverse(f"admin:notices_{name}_changelist") for name in ("webhook", "delivery"))
    client.post(hooks, {"action": "send_test", "_selected_action": [webhook.pk]})
    delivery = Delivery.objects.get()
    assert Notice.objects.get().type == "test"
    Delivery.objects.update(state="given_up", finished_at="2026-01-01T00:00Z", attempts=8)
    page = client.get(f"{log}?state__exact=given_up&by=webhook").content.decode()
    assert "A test" in page
    given_up, again = f"{log}?state__exact=given_up", {"action": "send_again"}
    page = client.post(given_up, {**again, "_selected_action": [delivery.pk]}, follow=True)
    assert "1 of 1 will be sent again.<" in page.content.decode()
    page = client.post(log, {**again, "_selected_action": [delivery.pk]}, follow=True)
    assert "0 of 1 will be sent again. The others are on their way" in page.content.decode()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("waiting", 0)
    acts = ["webhook.tested", "delivery.repeated"]
    assert AuditEntry.objects.filter(action__in=acts, actor=admin).count() == 2
