"""What was decided a moment ago is offered to be undone on every page, to whoever decided it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from approvals import policies
from approvals.models import Signature
from tests import console_fixtures as fixtures
from tests.approval_fixtures import view_all
from tests.call_fixtures import make_tool, park, working_step
from tests.integration.test_console_review import address_of, form_of, say_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def review(project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    view_all(made.approval, lead)
    return made


def test_every_page_offers_the_undo_of_what_was_approved_last(client, review, lead, requester):
    client.force_login(lead)
    client.post(address_of(review, "/decide"), form_of(review, verdict="approve"))
    offer = f'action="{address_of(review, "/undo")}"'
    assert say_of(client.get(address_of(review))).count(offer) == 1
    for page in ("/inbox", "/tasks", "/settings"):
        said = say_of(client.get(page))
        assert said.count(offer) == 1
        assert f'value="{review.approval.pk}"' in said
    client.post(address_of(review, "/undo"), {"approval": review.approval.pk})
    assert offer not in say_of(client.get("/tasks"))
    client.force_login(requester)
    assert offer not in say_of(client.get("/tasks"))


def test_the_offer_ends_with_its_time(client, review, lead):
    client.force_login(lead)
    client.post(address_of(review, "/decide"), form_of(review, verdict="approve"))
    assert "data-toast" in say_of(client.get("/tasks"))
    session = client.session
    session["just_decided"] |= {"until": timezone.now().isoformat()}
    session.save()
    assert "data-toast" not in say_of(client.get("/tasks"))


def test_the_undo_of_another_takes_no_offer_away(client, project, review, lead, requester):
    client.force_login(lead)
    last = fixtures.reviewed_task(project, requester)
    for each in (review, last):
        client.post(address_of(each, "/decide"), form_of(each, verdict="approve"))
    client.post(address_of(review, "/undo"), {"approval": review.approval.pk})
    review.approval.refresh_from_db()
    assert review.approval.state == "withdrawn"
    assert f'action="{address_of(last, "/undo")}"' in say_of(client.get("/tasks"))


def test_what_waits_for_another_signature_or_goes_at_once_offers_no_undo(
    client, project, requester, lead, second_lead
):
    client.force_login(lead)
    for asked in ({"signatures_needed": 2}, {"signatures_needed": 1, "undo_seconds": 0}):
        policies.change(project, by=lead, **asked)
        made = fixtures.reviewed_task(project, requester)
        view_all(made.approval, lead)
        client.post(address_of(made, "/decide"), form_of(made, verdict="approve"))
        assert Signature.objects.filter(approval=made.approval).exists()
        assert "data-toast" not in say_of(client.get("/tasks"))


def test_a_call_that_was_allowed_is_offered_as_such(client, project, requester, lead):
    make_tool("http://127.0.0.1:9/mcp")
    policies.change(project, by=lead, call_undo_seconds=60)
    (call,) = park(working_step(project, requester), "I-1")
    client.force_login(lead)
    sealed = {"digest": call.digest, "nonce": call.nonce, "confirmation": call.task.label}
    client.post(f"/calls/{call.pk}/decide", {**sealed, "verdict": "allow"})
    offer = f'action="/calls/{call.pk}/undo"'
    said = say_of(client.get("/tasks"))
    assert offer in said
    assert f"A call of {call.task.label}" in said
    client.post(f"/calls/{call.pk}/undo")
    assert "data-toast" not in say_of(client.get("/tasks"))
