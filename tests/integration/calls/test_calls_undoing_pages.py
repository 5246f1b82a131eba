"""An allowed call that can be undone counts down on its page, in the inbox and on the task page."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse
from django.utils import timezone

from agents.lifecycle import EscalationState
from agents.models import Escalation
from agents.models.tasks import Choice
from approvals import policies
from approvals.calls.undoing import undo
from approvals.models import CallApproval, StandingGrant
from projects.exceptions import NotAllowed
from projects.models import Project, User
from tests.api_fixtures import by_session, by_token
from tests.call_fixtures import decided, waiting_call
from tests.integration.test_pages_ask_little import MOST, asked
from tests.standing_fixtures import let_any, remembered

pytestmark = pytest.mark.django_db

BUTTON = re.compile(r'action="/calls/[0-9a-f-]+/undo"')


@pytest.fixture
def waiting(tool, project, requester, lead) -> CallApproval:
    policies.change(project, by=lead, call_undo_seconds=300)
    return waiting_call(project, requester)


@pytest.fixture
def allowed(waiting, lead) -> CallApproval:
    return decided(waiting, lead)


def _text(client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status
    return answer.content.decode()


def test_its_page_says_beforehand_how_long_it_can_be_undone(client, waiting, lead):
    client.force_login(lead)
    text = _text(client, f"/calls/{waiting.pk}")
    assert "It is called 300 s after the last permission; until then that can be undone." in text
    assert "You can undo for 300 s." in _text(client, f"/inbox?at={waiting.pk}")


def test_whoever_may_decide_sees_the_countdown_and_the_button(
    client, allowed, lead, second_lead, requester
):
    pages = (
        f"/calls/{allowed.pk}",
        "/inbox?tab=with-agents",
        "/inbox?tab=decided",
        f"/tasks/{allowed.task.label}",
    )
    for person in (lead, second_lead, requester):
        client.force_login(person)
        for page in pages:
            text = _text(client, page)
            assert "data-until=" in text
            assert bool(BUTTON.search(text)) == (person != requester), (person, page)
    assert "Only a tech lead of this project can decide" in _text(client, f"/calls/{allowed.pk}")


def test_a_closer_look_has_the_button_and_its_key(client, allowed, lead, requester):
    client.force_login(lead)
    peek = _text(client, f"/inbox?tab=decided&at={allowed.pk}").partition('id="peek"')[2]
    assert BUTTON.search(peek)
    assert 'data-key="z"' in peek
    client.force_login(requester)
    peek = _text(client, f"/inbox?tab=decided&at={allowed.pk}").partition('id="peek"')[2]
    assert not BUTTON.search(peek)


def test_one_click_undoes_it_and_leads_to_where_it_waits(client, allowed, second_lead):
    client.force_login(second_lead)
    answer = client.post(f"/calls/{allowed.pk}/undo")
    again = CallApproval.objects.get(state="pending")
    assert answer.headers["location"] == f"/calls/{again.pk}"
    text = _text(client, f"/calls/{again.pk}")
    assert "Undone. Nothing was called; it waits for permission again." in text
    assert f'href="/calls/{allowed.pk}"' in text
    text = _text(client, f"/calls/{allowed.pk}")
    assert "the call was put before a person again" in text
    assert f'href="/calls/{again.pk}"' in text
    assert "Ravi Singh undid the permission." in text
    events = _text(client, f"/tasks/{allowed.task.label}?tab=events")
    assert "undid the permission to use pay" in events


def test_a_refused_undo_says_why_and_changes_nothing(client, allowed, lead, requester):
    client.force_login(requester)
    assert client.post(f"/calls/{allowed.pk}/undo").status_code == 403
    undo(allowed.pk, by=lead)
    client.force_login(lead)
    answer = client.post(f"/calls/{allowed.pk}/undo")
    assert answer.status_code == 409
    assert "Somebody undid it already" in answer.content.decode()
    assert client.get(f"/calls/{allowed.pk}/undo").status_code == 405


def test_the_page_says_what_becomes_of_the_standing_grant(client, waiting, project, lead):
    let_any(project, lead)
    client.force_login(lead)
    text = _text(client, f"/calls/{waiting.pk}")
    assert "who undoes that revokes it" in text
    remembered(waiting, lead)
    text = _text(client, f"/calls/{waiting.pk}")
    assert "Until then the grant lets nothing through" in text
    client.post(f"/calls/{waiting.pk}/undo")
    assert StandingGrant.objects.get().revoked_by == lead


def _take_over(row: CallApproval, person: User) -> None:
    Escalation.objects.create(
        task=row.task,
        step=row.step,
        rule="max_turns",
        detail="All turns are used.",
        options=["take_over", "stop"],
        state=EscalationState.RESOLVED,
        choice=Choice.TAKE_OVER,
        resolved_by=person,
        resolved_at=timezone.now(),
    )


def _places(row: CallApproval) -> tuple[str, ...]:
    return (
        f"/calls/{row.pk}",
        "/inbox?tab=with-agents",
        f"/inbox?tab=decided&at={row.pk}",
        f"/tasks/{row.task.label}",
    )


def test_who_did_a_part_of_the_work_is_offered_no_undo_anywhere(client, allowed, lead, second_lead):
    _take_over(allowed, second_lead)
    for person in (lead, second_lead):
        client.force_login(person)
        for page in _places(allowed):
            assert bool(BUTTON.search(_text(client, page))) == (person == lead), (person, page)
    with pytest.raises(NotAllowed):
        undo(allowed.pk, by=second_lead)


@pytest.mark.parametrize("still", [True, False])
def test_one_person_for_everything_is_asked_of_the_seal_and_of_the_project(
    client, tool, project, lead, still
):
    Project.objects.filter(pk=project.pk).update(single_person=True)
    project.refresh_from_db()
    policies.change(project, by=lead, call_undo_seconds=300)
    allowed = decided(waiting_call(project, lead), lead)
    Project.objects.filter(pk=project.pk).update(single_person=still)
    client.force_login(lead)
    for page in _places(allowed):
        assert bool(BUTTON.search(_text(client, page))) == still, page


def test_pages_ask_no_oftener_for_more_that_can_be_undone(client, allowed, tool, lead):
    client.force_login(lead)

    pages = ("/inbox?tab=with-agents", "/inbox?tab=decided", f"/tasks/{allowed.task.label}")
    before = [asked(client, page) for page in pages]
    for _ in range(2):
        decided(waiting_call(allowed.project, allowed.requester), lead)
    after = [asked(client, page) for page in pages]
    for page, few, more in zip(pages, before, after, strict=True):
        assert len(more) == len(few) <= MOST, page


def test_z_on_the_task_page_leads_to_the_first_that_can_be_undone(client, allowed, lead):
    client.force_login(lead)
    assert _text(client, f"/tasks/{allowed.task.label}").count('data-key="z"') == 1


# The API


def test_the_api_tells_until_when_and_undoes_it(allowed, lead, requester):
    call, path = by_session(lead), f"/api/v1/calls/{allowed.pk}"
    read = call("GET", path).json()
    assert read["policy"]["undo_seconds"] == 300
    assert read["undo_until"] > read["decided_at"]
    assert read["asked_again"] is None
    assert by_session(requester)("POST", f"{path}/undo", {}).status_code == 403
    assert by_token(lead, "approvals:read")("POST", f"{path}/undo", {}).status_code == 403
    answer = call("POST", f"{path}/undo", {})
    again = CallApproval.objects.get(state="pending")
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")
    assert answer.json()["asked_again"] == str(again.pk)
    assert answer.json()["undo_until"] is None
    assert call("POST", f"{path}/undo", {}).status_code == 409
    assert call("POST", f"/api/v1/calls/{again.pk}/undo", {}).status_code == 409


def test_what_was_undone_has_no_answer_of_the_request_after_it(allowed, client, admin, lead):
    again = undo(allowed.pk, by=lead)
    decided(again, lead, "refuse", note="Not this month")
    read = [by_session(lead)("GET", f"/api/v1/calls/{row.pk}").json() for row in (allowed, again)]
    assert read[0]["result"] == ""
    assert "Not this month" in read[1]["result"]
    client.force_login(admin)
    shown = [
        client.get(reverse("admin:approvals_callapproval_change", args=[row.pk])).text
        for row in (allowed, again)
    ]
    assert "Not this month" not in shown[0]
    assert "Not this month" in shown[1]


def test_a_policy_says_over_the_api_how_long_calls_can_be_undone(project, admin, lead):
    path = f"/api/v1/projects/{project.slug}/policy"
    call = by_session(lead)
    assert call("GET", path).json()["call_undo_seconds"] == 0
    policies.change(project, by=lead, call_undo_seconds=90)
    assert call("GET", path).json()["call_undo_seconds"] == 90
