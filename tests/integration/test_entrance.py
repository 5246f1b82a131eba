"""Signing in, signing out and changing one's own password are entered in the audit log; passwords never."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects.models import AuditEntry

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"
NEW = "a battery, staple and horse"
WRONG = "not the word at all"


def entered():
    found = AuditEntry.objects.order_by("id")
    return [(each.action, each.actor_label, each.object_id, each.address) for each in found]


def of(person, *acts):
    return [(f"user.{act}", person.username, str(person.pk), "127.0.0.1") for act in acts]


def signs_in(client, person, password=PASSWORD, at="/sign-in"):
    return client.post(at, {"username": person.username, "password": password})


def changes(client, old, new=NEW, again=NEW):
    form = {"old_password": old, "new_password1": new, "new_password2": again}
    return client.post("/admin/password_change/", form)


def holds_no_password():
    said = "".join(f"{each} {each.detail}" for each in AuditEntry.objects.all())
    return not any(word in said for word in (PASSWORD, NEW, WRONG))


def test_who_signs_in_and_out_on_the_console_is_entered(client, lead):
    assert signs_in(client, lead).status_code == 302
    assert client.post("/sign-out").status_code == 302
    assert entered() == of(lead, "signed_in", "signed_out")
    assert holds_no_password()


def test_who_signs_in_and_out_in_the_admin_is_entered(client, admin):
    assert signs_in(client, admin, at="/admin/login/").status_code == 302
    assert client.post("/admin/logout/").status_code == 302
    assert entered() == of(admin, "signed_in", "signed_out")
    assert holds_no_password()


def test_an_admin_who_changes_their_own_password_is_entered(client, admin):
    client.force_login(admin)
    assert changes(client, PASSWORD).status_code == 302
    admin.refresh_from_db()
    assert admin.check_password(NEW)
    assert entered() == of(admin, "password_changed")
    assert holds_no_password()


def test_a_refused_change_of_the_password_is_not_entered(client, admin):
    client.force_login(admin)
    assert changes(client, WRONG).status_code == 200
    assert changes(client, PASSWORD, again=WRONG).status_code == 200
    admin.refresh_from_db()
    assert admin.check_password(PASSWORD)
    assert entered() == []


@pytest.mark.parametrize("at", ["/sign-in", "/admin/login/"])
def test_a_refused_sign_in_is_a_line_of_the_process_and_never_waits_for_the_audit_log(
    client, lead, at, caplog
):
    with CaptureQueriesContext(connection) as asked:
        assert signs_in(client, lead, WRONG, at).status_code in {200, 400}
    assert entered() == []
    assert not [each for each in asked if "audit_append" in each["sql"]]
    assert "A sign-in from 127.0.0.1 was refused." in caplog.text
    assert WRONG not in caplog.text
    assert lead.username not in caplog.text


def test_a_lead_is_no_admin_and_their_password_opens_no_session_there(client, lead):
    assert signs_in(client, lead, at="/admin/login/").status_code == 200
    assert entered() == []
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("at", ["/sign-in", "/admin/login/"])
def test_looking_at_the_page_enters_nothing(client, admin, at):
    client.get(at)
    client.force_login(admin)
    client.get(at)
    client.post("/sign-in", {"username": admin.username, "password": PASSWORD})
    client.logout()
    client.post("/sign-out")
    client.post("/admin/logout/")
    assert entered() == []


@pytest.fixture
def full_log(client):
    """A log that takes no entry."""
    client.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE projects_auditentry ADD CONSTRAINT f CHECK (false) NOT VALID")


@pytest.mark.parametrize("at", ["/sign-in", "/admin/login/"])
def test_nobody_comes_in_who_cannot_be_entered(client, admin, full_log, at):
    assert signs_in(client, admin, at=at).status_code == 500
    assert client.get("/settings").status_code == 302


@pytest.mark.parametrize("at", ["/sign-out", "/admin/logout/"])
def test_no_session_is_ended_whose_end_cannot_be_entered(client, admin, full_log, at):
    client.force_login(admin)
    assert client.post(at).status_code == 500
    assert Session.objects.count() == 1


def test_a_password_stays_whose_change_cannot_be_entered(client, admin, full_log):
    client.force_login(admin)
    assert changes(client, PASSWORD).status_code == 500
    admin.refresh_from_db()
    assert admin.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("address", "form", "act", "now"),
    [
        ("/settings/theme", {"theme": "dark"}, "theme_set", "dark"),
        ("/settings/keys", {}, "single_keys_set", False),
    ],
)
def test_what_people_set_for_themselves_is_entered_when_it_changes(
    client, lead, address, form, act, now
):
    client.force_login(lead)
    client.post(address, form)
    client.post(address, form)
    assert entered() == of(lead, act)
    assert AuditEntry.objects.get().detail == {"now": now}
