"""People say from when until when they are out of office and who stands in, and pages tell of it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import absences, policies, routing, sealing, selectors
from approvals.models import Absence
from projects.exceptions import InvalidInput
from projects.models import AuditEntry, Membership, Project, Role, User
from tests import console_fixtures as fixtures
from tests.api_fixtures import by_session
from tests.approval_fixtures import make_report
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def sam(project):
    user = User.objects.create(username="samira", first_name="Samira", last_name="Third")
    Membership.objects.create(user=user, project=project, role=Role.LEAD)
    return user


def leave(person, *, to=None, project=None, begins=-DAY, days=7):
    now = timezone.now()
    chosen = {project.pk: to.pk} if to else {}
    return absences.leave(
        person, begins_at=now + begins, ends_at=now + days * DAY, delegates=chosen
    )


def test_who_may_be_named_and_for_when(project, lead, second_lead, requester, stranger):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=stranger, project=other, role=Role.LEAD)
    for to in (lead, requester, stranger):
        with pytest.raises(InvalidInput, match="another tech lead"):
            leave(lead, to=to, project=project)
    with pytest.raises(InvalidInput, match="another tech lead"):
        leave(lead, to=stranger, project=other)
    now = timezone.now()
    for begins, ends in ((now, now - DAY), (now + 2 * DAY, now + DAY), (now, now + 900 * DAY)):
        with pytest.raises(InvalidInput):
            absences.leave(lead, begins_at=begins, ends_at=ends)
    assert not Absence.objects.exists()


def test_what_is_said_to_have_begun_begins_now(lead):
    absence = leave(lead, begins=-30 * DAY)
    assert absence.begins_at == absence.at


def test_who_is_away_hides_nothing_and_is_given_nothing(project, requester, lead, second_lead, sam):
    approval = sealing.seal(make_report(project, requester))
    routing.claim(approval, by=second_lead)
    assert selectors.needs_you(lead).pending == []
    leave(second_lead, to=sam, project=project)
    assert [row.pk for row in selectors.needs_you(lead).pending] == [approval.pk]
    routing.release(approval, by=second_lead)
    with pytest.raises(InvalidInput, match=r"Ravi Singh is out of office until .* Samira Third"):
        routing.assign(approval, second_lead.pk, by=lead)


def test_each_change_is_in_the_audit_log(project, lead, second_lead):
    absence = leave(second_lead, to=lead, project=project)
    absences.come_back(second_lead)
    told = AuditEntry.objects.filter(object_id=str(absence.pk)).order_by("pk")
    assert [entry.action for entry in told] == ["absence.stated", "absence.ended"]
    assert told[0].detail["delegates"] == {str(project.pk): "dana"}
    assert {entry.actor for entry in told} == {second_lead}


def test_the_audit_log_is_locked_last(project, lead, second_lead):
    leave(second_lead, to=lead, project=project)
    with CaptureQueriesContext(connection) as said:
        leave(second_lead, to=lead, project=project, days=9)
    done = [each["sql"] for each in said if "SAVEPOINT" not in each["sql"]]
    locks = ["audit_append" in sql for sql in done]
    assert locks == [*[False] * (len(done) - 2), True, True]


def test_the_pages_say_for_whom_one_signs(client, project, requester, lead, second_lead):
    rule = policies.Rule(name="Ravi looks", signers=[second_lead])
    policies.change(project, by=lead, rules=[rule])
    made = fixtures.reviewed_task(project, requester)
    leave(second_lead, to=lead, project=project)
    client.force_login(lead)
    assert "<strong>for Ravi Singh</strong>" in client.get("/inbox").content.decode()
    review = f"/review/{made.task.label}/r1"
    page = " ".join(client.get(review).content.decode().split())
    assert "Yours counts for Ravi Singh, who is away." in page
    facts = {"digest": made.approval.digest, "nonce": made.approval.nonce}
    decide(made.approval.pk, by=lead, verdict="approve", **facts)
    page = " ".join(client.get(review).content.decode().split())
    assert "for Ravi Singh, who is away" in page
    assert "One must be" not in page
    shown = by_session(lead).get(f"/api/v1/approvals/{made.approval.pk}").json()
    assert shown["signatures"][0]["on_behalf_of"][0]["person"] == str(second_lead.pk)


def test_somebody_says_on_the_settings_page_that_they_are_away(client, project, lead, second_lead):
    client.force_login(lead)
    page = client.get("/settings").content.decode()
    assert f"Stands in for you in {project.name}" in page
    assert "You are out of office." not in page
    today = timezone.now().date()
    days = {"first": f"{today}", "last": f"{today + 3 * DAY}"}
    chosen = {f"delegate-{project.pk}": str(second_lead.pk)}
    done = client.post("/settings/away", {**days, **chosen}, follow=True).content.decode()
    last = today + 3 * DAY
    assert f"You are out of office up to and including {last.day} {last:%B %Y}." in done
    assert "Ravi Singh stands in" in done
    assert "You are out of office." in client.get("/tasks").content.decode()
    done = client.post("/settings/back", {"next": "/tasks"}, follow=True)
    assert done.redirect_chain[-1][0] == "/tasks"
    assert "You are back." in done.content.decode()
    assert "I am back" not in done.content.decode()


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"first": "soon", "last": "later"},
        {"first": "2026-02-31", "last": "2026-03-01"},
        {"first": "0001-01-01", "last": "9999-12-31"},
        {"first": "2020-01-01", "last": "2020-01-02"},
        {"first": "2020-01-01", "last": "9998-12-31"},
    ],
)
def test_days_that_are_none_are_refused_in_words(client, lead, sent):
    client.force_login(lead)
    done = client.post("/settings/away", sent, follow=True)
    assert done.status_code == 200
    assert "Name " in done.content.decode()
    assert not Absence.objects.exists()


def test_a_delegate_that_is_none_is_refused_in_words(client, project, lead, requester):
    client.force_login(lead)
    today = timezone.now().date()
    for field, value in (
        (f"delegate-{project.pk}", "x"),
        ("delegate-x", str(lead.pk)),
        (f"delegate-{project.pk}", str(requester.pk)),
        (f"delegate-{uuid.uuid4()}", str(lead.pk)),
    ):
        sent = {"first": f"{today}", "last": f"{today}", field: value}
        assert (
            "Choose another tech lead"
            in client.post("/settings/away", sent, follow=True).content.decode()
        )
    assert not Absence.objects.exists()


def test_the_api_states_reads_and_ends_it(project, lead, second_lead):
    call, address = by_session(lead), "/api/v1/absence"
    assert call.get(address).json() == {"absence": None}
    now = timezone.now()
    body = {
        "begins_at": (now - DAY).isoformat(),
        "ends_at": (now + DAY).isoformat(),
        "delegates": [{"project": str(project.pk), "delegate": str(second_lead.pk)}],
    }
    answer = call("PUT", address, body)
    assert (answer.status_code, call.get(address).json()) == (200, answer.json())
    (row,) = answer.json()["absence"]["delegates"]
    assert row["delegate"]["name"] == "Ravi Singh"
    body["delegates"][0]["delegate"] = str(lead.pk)
    refused = call("PUT", address, body)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["delegates"])
    assert call("DELETE", address).status_code == 204
    assert call("DELETE", address).status_code == 204
    assert call.get(address).json() == {"absence": None}
