"""People, tokens and projects in the admin: audited, without secrets, without traps."""

from __future__ import annotations

import subprocess

import pytest
from django.urls import reverse

from projects import audit, tokens
from projects.models import ApiToken, AuditEntry, Membership, Project, User


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


def page(model, row=None, act="change"):
    name = f"admin:projects_{model._meta.model_name}_{act if row else 'add'}"
    return reverse(name, args=[row.pk] if row else [])


def acts():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def texts(response):
    return [str(message) for message in response.context["messages"]]


def no_members(**counts):
    forms = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    return {**forms, "quota-TOTAL_FORMS": 0, "quota-INITIAL_FORMS": 0, **counts}


def person_form(person, **changes):
    fields = {
        "username": person.username,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "theme": person.theme,
        "single_keys": "on",
        "is_active": "on",
    }
    return {**fields, **no_members(), **changes}


def project_form(project, **changes):
    fields = {
        "name": project.name,
        "repository": project.repository,
        "main_branch": project.main_branch,
        "checks_command": project.checks_command,
        "limits": "{}",
        "initial-limits": "{}",  # browsers send it back
        "memory_enabled": "on",
    }
    return {**fields, **no_members(), **changes}


def test_person_is_added_and_audited(as_admin):
    password = "correct horse battery"
    form = {"username": "noa", "password1": password, "password2": password}
    as_admin.post(page(User), {**form, "usable_password": "true"})
    person = User.objects.get(username="noa")
    assert person.check_password(password)
    assert (person.is_staff, person.is_superuser) == (False, False)
    assert acts() == ["user.added"]
    assert password not in str(AuditEntry.objects.get().detail)


@pytest.mark.parametrize("whose", ["lead", "project"])
def test_a_quota_is_set_and_audited(as_admin, lead, project, whose):
    row, form = {"lead": (lead, person_form), "project": (project, project_form)}[whose]
    quota = {"quota-TOTAL_FORMS": 1, "quota-0-hourly": 60}
    as_admin.post(page(type(row), row), form(row, **quota))
    assert row.quota.hourly == 60
    assert "60" in str(AuditEntry.objects.latest("id").detail)
    refused = as_admin.post(page(type(row), row), form(row, **{**quota, "quota-0-hourly": 0}))
    assert refused.status_code == 200


def test_admin_flag_opens_and_closes_the_admin(as_admin, lead, client):
    as_admin.post(page(User, lead), person_form(lead, is_superuser="on"))
    lead.refresh_from_db()
    assert (lead.is_staff, lead.is_superuser) == (True, True)
    as_admin.post(page(User, lead), person_form(lead))
    lead.refresh_from_db()
    assert (lead.is_staff, lead.is_superuser) == (False, False)
    assert AuditEntry.objects.latest("id").detail == {
        "fields": ["is_superuser"],
        "now": {"is_superuser": False},
    }


@pytest.mark.parametrize("flag", ["is_active", "is_superuser"])
def test_admin_cannot_shut_themselves_out(as_admin, admin, flag):
    form = person_form(admin, is_superuser="on")
    del form[flag]
    response = as_admin.post(page(User, admin), form)
    assert flag in response.context["adminform"].form.errors
    admin.refresh_from_db()
    assert admin.is_active
    assert admin.is_superuser


def test_password_change_is_audited_without_the_password(as_admin, lead):
    url = reverse("admin:auth_user_password_change", args=[lead.pk])
    new = "another horse entirely"
    form = {"password1": new, "password2": new, "usable_password": "true", "set-password": "1"}
    as_admin.post(url, form)
    lead.refresh_from_db()
    assert lead.check_password(new)
    assert acts() == ["user.password_changed"]
    assert new not in str(AuditEntry.objects.get().detail)


def test_refused_password_change_is_not_audited(as_admin, lead):
    url = reverse("admin:auth_user_password_change", args=[lead.pk])
    as_admin.post(url, {"password1": "a", "password2": "b", "usable_password": "true"})
    assert acts() == []


def test_person_cannot_be_deleted(as_admin, lead):
    assert as_admin.post(page(User, lead, "delete"), {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=lead.pk).exists()


def test_membership_is_given_in_the_project_and_audited(as_admin, project, stranger):
    form = project_form(
        project,
        **no_members(
            **{
                "memberships-TOTAL_FORMS": 1,
                "memberships-0-project": project.pk,
                "memberships-0-user": stranger.pk,
                "memberships-0-role": "lead",
            }
        ),
    )
    as_admin.post(page(Project, project), form)
    assert Membership.objects.get(user=stranger).role == "lead"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.project) == ("project.changed", project)
    assert entry.detail["memberships"]["added"] == ["sam is lead of acme-billing"]


def test_token_text_is_shown_once_and_opens_the_door(as_admin, requester, project):
    form = {"user": requester.pk, "project": project.pk, "name": "ci", "days": 30}
    response = as_admin.post(page(ApiToken), {**form, "scopes": ["tasks:read"]}, follow=True)
    (text,) = [words for words in texts(response) if "not shown again" in words]
    token = tokens.find(text.rpartition(" ")[2])
    assert token is not None
    assert (token.user, token.project, token.scopes) == (requester, project, ["tasks:read"])
    assert acts() == ["apitoken.added"]
    secret = text.rpartition(" ")[2].split("_", 2)[2]  # it may hold more of them
    assert len(secret) > 40
    again = as_admin.get(page(ApiToken, token)).content.decode()
    assert secret not in again
    assert token.digest not in again
    assert secret not in str(AuditEntry.objects.get().detail)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["approvals:decide"]}),
        ("days", {"days": 0}),
        ("days", {"days": 3_650}),
        ("name", {"name": ""}),
    ],
)
def test_bad_token_is_not_issued(as_admin, requester, field, changes):
    form = {"user": requester.pk, "name": "ci", "days": 30, "scopes": ["tasks:read"]}
    response = as_admin.post(page(ApiToken), {**form, **changes})
    assert field in response.context["adminform"].form.errors
    assert not ApiToken.objects.exists()


def test_token_for_a_project_of_others_is_not_issued(as_admin, stranger, project):
    form = {"user": stranger.pk, "project": project.pk, "name": "ci", "days": 30}
    response = as_admin.post(page(ApiToken), {**form, "scopes": ["tasks:read"]})
    assert "project" in response.context["adminform"].form.errors


def test_token_is_revoked_at_once_and_stays_on_record(as_admin, requester):
    token, text = tokens.issue(requester, name="ci")
    action = {"action": "revoke", "_selected_action": [token.pk]}
    as_admin.post(reverse("admin:projects_apitoken_changelist"), action)
    assert tokens.find(text) is None
    assert ApiToken.objects.filter(pk=token.pk).exists()
    assert acts() == ["apitoken.revoked"]
    as_admin.post(reverse("admin:projects_apitoken_changelist"), action)
    assert acts() == ["apitoken.revoked"]


def test_unreachable_repository_is_saved_with_a_warning(as_admin, project):
    form = project_form(project, repository="/gone/away.git")
    response = as_admin.post(page(Project, project), form, follow=True)
    assert any("tasks cannot begin yet" in text for text in texts(response))
    project.refresh_from_db()
    assert project.repository == "/gone/away.git"


def test_reachable_repository_is_confirmed(as_admin, project, tmp_path):
    commands = (
        ["git", "init", "-q", "-b", "main", str(tmp_path)],
        [
            *["git", "-C", str(tmp_path), "-c", "user.name=T", "-c", "user.email=t@example.com"],
            *["commit", "-q", "--allow-empty", "-m", "Begin"],
        ],
    )
    for command in commands:
        subprocess.run(command, check=True)
    form = project_form(project, repository=str(tmp_path))
    response = as_admin.post(page(Project, project), form, follow=True)
    assert any("The repository answers: main is at" in text for text in texts(response))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repository", "ext::sh -c touch% /tmp/x"),
        ("repository", "--upload-pack=touch /tmp/x"),
        ("repository", "ftp://example.com/x.git"),
        ("main_branch", "--force"),
        ("main_branch", "a..b"),
        ("limits", '{"patience": 3}'),
        ("limits", '{"rounds": 0}'),
        ("limits", "[1]"),
        ("limits", "{"),
    ],
)
def test_dangerous_or_unknown_value_is_refused_by_field(as_admin, project, field, value):
    response = as_admin.post(page(Project, project), project_form(project, **{field: value}))
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    project.refresh_from_db()
    assert project.repository == "/nowhere.git"


def test_password_of_an_address_is_never_shown_and_survives_a_save(as_admin, project):
    address = "https://bot:hunter2@127.0.0.1:1/acme.git"
    Project.objects.update(repository=address)
    listing = as_admin.get(reverse("admin:projects_project_changelist")).content.decode()
    response = as_admin.get(page(Project, project))
    shown = response.context["adminform"].form["repository"].value()
    assert "hunter2" not in listing + response.content.decode()
    form = project_form(project, repository=shown, name="Renamed")
    response = as_admin.post(page(Project, project), form, follow=True)
    assert "hunter2" not in response.content.decode()
    project.refresh_from_db()
    assert (project.repository, project.name) == (address, "Renamed")
    assert AuditEntry.objects.get().detail == {"fields": ["name"]}


def test_project_is_archived_not_deleted(as_admin, project):
    assert as_admin.post(page(Project, project, "delete"), {"post": "yes"}).status_code == 403
    as_admin.post(page(Project, project), project_form(project, archived="on"))
    project.refresh_from_db()
    assert project.archived_at is not None
    as_admin.post(page(Project, project), project_form(project))
    project.refresh_from_db()
    assert project.archived_at is None
    assert acts() == ["project.changed", "project.changed"]


def test_failed_change_leaves_no_audit_entry(as_admin, project):
    as_admin.post(page(Project, project), project_form(project, name=""))
    assert acts() == []


def test_the_audit_log_names_the_task_and_leads_to_what_was_done_to(as_admin, project, lead):
    audit.record("project.looked", subject=project, actor=lead, project=project, task="T-7")
    audit.record("project.left", subject=project, actor=lead, project=project, task="T-77")
    log = reverse("admin:projects_auditentry_changelist")
    shown = as_admin.get(log, {"q": "t-7"}).text
    assert "project.looked" in shown
    assert "T-7</td>" in shown
    assert "project.left" not in shown
    odd = Project(pk="../\n")
    audit.record("project.odd", subject=odd, actor=lead, task="T-8")
    assert "project.odd" in as_admin.get(log, {"q": "T-8"}).text
    there = reverse("admin:projects_project_change", args=[project.pk])
    assert f'<a href="{there}">project</a>' in shown
