"""An allowed call that can be undone counts down on its page, in the inbox and on the task page."""

from __future__ import annotations

import re

import pytest

from approvals import policies
from approvals.calls.undoing import undo
from approvals.models import CallApproval, StandingGrant
from tests.api_fixtures import by_session, by_token
from tests.call_fixtures import decided, waiting_call
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


def test_a_policy_says_over_the_api_how_long_calls_can_be_undone(project, admin, lead):
    read = by_session(lead)("GET", f"/api/v1/projects/{project.slug}/policy").json()
    assert read["call_undo_seconds"] == 0
