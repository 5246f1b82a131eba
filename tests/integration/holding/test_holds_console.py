"""Pause, resume, hold and lift on pages: the words, the rights, and the way without JavaScript."""

from __future__ import annotations

import pytest
from django.test import Client

from agents import holds
from agents.models import Agent, Hold, Task
from projects.models import AuditEntry, Project
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(project, requester, lead):
    return fixtures.running_task(project, requester)


@pytest.fixture
def url(made) -> str:
    return f"/tasks/T-{made.task.number}"


def page_of(client, person, path) -> str:
    client.force_login(person)
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_requester_pauses_and_a_lead_resumes(client, made, url, requester, lead):
    before = page_of(client, requester, url)
    assert f'action="{url}/pause"' in before
    assert f'action="{url}/resume"' not in before
    answer = client.post(f"{url}/pause", {"reason": "Wait for Ravi."})
    assert (answer.status_code, answer["Location"]) == (302, url)
    for path in (url, f"{url}/live"):
        shown = page_of(client, lead, path)
        assert "Paused by Mira Ode" in shown
        assert "Wait for Ravi." in shown
        assert f'action="{url}/resume"' in shown
        assert f'action="{url}/pause"' not in shown
    assert "Paused by Mira Ode" in page_of(client, lead, "/tasks")
    client.post(f"{url}/resume")
    assert not Hold.objects.open().exists()
    shown = page_of(client, lead, f"{url}?tab=events")
    assert "paused the task" in shown
    assert "resumed the task" in shown
    assert AuditEntry.objects.get(action="hold.placed").address == "127.0.0.1"


def test_member_who_may_not_pause_sees_no_button_and_is_told(client, made, url, project, stranger):
    project.memberships.create(user=stranger, role="requester")
    assert "/pause" not in page_of(client, stranger, url)
    answer = client.post(f"{url}/pause", follow=True)
    assert "Only who asked for it or a tech lead" in answer.content.decode()
    assert not Hold.objects.exists()


@pytest.mark.parametrize("act", ["pause", "resume", "priority"])
def test_stranger_gets_404_and_get_changes_nothing(client, made, url, stranger, lead, act):
    client.force_login(stranger)
    assert client.post(f"{url}/{act}").status_code == 404
    client.force_login(lead)
    assert client.get(f"{url}/{act}").status_code == 405
    assert not Hold.objects.exists()


def test_acts_need_the_csrf_token(made, url, lead, admin):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(lead)
    assert strict.post(f"{url}/pause").status_code == 403
    strict.force_login(admin)
    assert strict.post("/operations/hold", {"aim": "everything"}).status_code == 403
    assert not Hold.objects.exists()


def test_banner_is_on_every_page_with_lift_for_those_allowed(client, made, url, requester, admin):
    hold = holds.place(by=admin, reason="A bad release.")
    for path in (url, "/tasks", "/inbox", "/new", "/memory", "/settings", "/live"):
        shown = page_of(client, requester, path)
        assert "Everything is held by Ada Admin" in shown, path
        assert "A bad release." in shown
        assert "/lift" not in shown
    assert "Held by Ada Admin" in page_of(client, requester, url)
    assert f"/operations/holds/{hold.pk}/lift" in page_of(client, admin, "/tasks")
    assert client.post(f"/operations/holds/{hold.pk}/lift", {"next": url})["Location"] == url
    assert "is held by" not in page_of(client, requester, url)


def test_hold_of_a_foreign_project_is_not_told(client, made, requester, admin):
    secret = Project.objects.create(slug="secret", name="Secret", repository="/x.git")
    hold = holds.place(by=admin, project=secret, reason="Secret reason")
    assert "Secret" not in page_of(client, requester, "/tasks")
    assert client.post(f"/operations/holds/{hold.pk}/lift").status_code == 404
    assert Hold.objects.open().count() == 1


def test_lead_holds_a_project_and_lifts_it_on_the_operations_page(client, made, lead, project):
    shown = page_of(client, lead, "/operations")
    assert "Nothing is held." in shown
    assert f'value="project:{project.slug}"' in shown
    assert 'value="everything"' not in shown
    assert "agent:" not in shown
    client.post("/operations/hold", {"aim": f"project:{project.slug}", "reason": "Freeze."})
    hold = Hold.objects.open().get()
    assert (hold.scope, hold.project, hold.reason) == ("project", project, "Freeze.")
    assert "acme/billing held by Dana Kim" in page_of(client, lead, "/tasks")
    client.post(f"/operations/holds/{hold.pk}/lift", {"next": "https://evil.example/"})
    assert "Lifted by Dana Kim" in page_of(client, lead, "/operations")


def test_admin_holds_an_agent_or_everything(client, made, admin):
    client.force_login(admin)
    for aim in ("agent:coder", "everything"):
        client.post("/operations/hold", {"aim": aim})
    coder = Agent.objects.get(slug="coder")
    assert set(Hold.objects.open().values_list("scope", "agent")) == {
        ("agent", coder.pk),
        ("everything", None),
    }


@pytest.mark.parametrize("aim", ["everything", "agent:coder", "project:secret", "task:x", ""])
def test_lead_cannot_hold_what_is_not_offered(client, made, lead, aim):
    Project.objects.create(slug="secret", name="Secret", repository="/x.git")
    client.force_login(lead)
    answer = client.post("/operations/hold", {"aim": aim}, follow=True)
    assert "Choose what to hold. Nothing was held." in answer.content.decode()
    assert not Hold.objects.exists()


def test_operations_is_for_leads_and_admins(client, made, requester, lead):
    client.force_login(requester)
    assert client.get("/operations").status_code == 403
    assert client.post("/operations/hold", {"aim": "everything"}).status_code == 403
    assert "/operations" not in page_of(client, requester, "/tasks")
    assert 'href="/operations"' in page_of(client, lead, "/tasks")


def test_lead_raises_the_priority_of_a_task_and_of_what_it_has_open(client, made, url, lead):
    assert f'action="{url}/priority"' in page_of(client, lead, url)
    client.post(f"{url}/priority", {"priority": "2"})
    task = Task.objects.get(pk=made.task.pk)
    assert task.priority == 2
    settled = {"done", "blocked", "failed", "cancelled"}
    by_state = {(s.state in settled, s.priority) for s in task.steps.all()}
    assert by_state <= {(True, 0), (False, 2)}
    assert (False, 2) in by_state
    assert AuditEntry.objects.get(action="task.prioritised").detail == {"before": 0, "after": 2}


def test_requester_cannot_raise_the_priority(client, made, url, requester):
    assert "/priority" not in page_of(client, requester, url)
    answer = client.post(f"{url}/priority", {"priority": "2"}, follow=True)
    assert "Only a tech lead" in answer.content.decode()
    assert Task.objects.get(pk=made.task.pk).priority == 0


@pytest.mark.parametrize("wrong", ["", "9", "x", "1.5"])
def test_priority_that_does_not_exist_is_refused(client, made, url, lead, wrong):
    client.force_login(lead)
    answer = client.post(f"{url}/priority", {"priority": wrong}, follow=True)
    assert "Choose one of: Low, Normal, High, Urgent." in answer.content.decode()
