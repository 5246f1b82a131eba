"""Of several permissions those of people who may not decide any more do not count."""

from __future__ import annotations

import json

import pytest

from approvals import invariants, policies
from approvals.calls import carrying, selectors
from approvals.calls.exceptions import CallOver
from approvals.calls.sealing import covered
from approvals.models import CallApproval, CallSignature
from projects.across import Mine
from projects.exceptions import InvalidInput
from projects.models import Membership, Role, User
from tests.api_fixtures import by_session
from tests.call_fixtures import decided, waiting_call

pytestmark = pytest.mark.django_db
CHECK = next(check for check in invariants.CHECKS if check.name == "call-allowed")
OTHER = '{"invoice": "I-2", "cents": 5}'


@pytest.fixture
def sam(project) -> User:
    person = User.objects.create(username="samira", first_name="Samira", last_name="Third")
    Membership.objects.create(user=person, project=project, role=Role.LEAD)
    return person


@pytest.fixture
def two_needed(tool, project, requester, lead, second_lead, sam) -> CallApproval:
    policies.change(project, by=lead, signatures_needed=2)
    return waiting_call(project, requester)


def lose(person: User, role: str = "requester") -> None:
    Membership.objects.filter(user=person).update(role=role)


def now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("step__task", "call").get(pk=row.pk)


def waits_for(*people: User) -> list[str]:
    """Return in whose inbox it is."""
    waits = [selectors.waiting(person.pk, Mine.of(person)).count(cap=2) for person in people]
    return [person.username for person, count in zip(people, waits, strict=True) if count]


def page_of(client, person: User, row: CallApproval) -> str:
    client.force_login(person)
    return " ".join(client.get(f"/calls/{row.pk}").content.decode().split())


def test_a_permission_whose_person_lost_the_right_is_replaced(
    two_needed, server, lead, second_lead, sam
):
    assert decided(two_needed, lead).state == "pending"
    lose(lead)
    assert decided(two_needed, second_lead).state == "pending"
    assert carrying.make_due("effects") == 0
    events = two_needed.task.events.filter(kind="approval.signed").order_by("seq")
    told = [(each.data["signed"], each.data.get("lapsed")) for each in events]
    assert told == [(1, None), (1, ["Dana Kim"])]
    assert decided(two_needed, sam).state == "allowed"
    assert carrying.make_due("effects") == 1
    assert (now(two_needed).state, len(server.calls)) == ("done", 1)
    assert CHECK.find().count == 0


def test_what_enough_have_allowed_is_in_their_inboxes_once_a_right_is_back(
    two_needed, lead, second_lead, sam
):
    people = (lead, second_lead, sam)
    decided(two_needed, lead)
    lose(lead)
    decided(two_needed, second_lead)
    assert waits_for(*people) == ["samira"]
    lose(lead, Role.LEAD)
    assert waits_for(*people) == ["dana", "ravi", "samira"]
    assert decided(two_needed, second_lead).state == "allowed"
    assert waits_for(*people) == []


def test_the_arguments_the_first_allowed_stay(two_needed, server, lead, second_lead, sam):
    decided(two_needed, lead, edited=OTHER)
    lose(lead)
    seen = now(two_needed)
    seen.digest = covered(seen)
    with pytest.raises(InvalidInput, match="Dana Kim allowed this with the arguments it has now"):
        decided(seen, second_lead, edited='{"invoice": "I-3", "cents": 5}')
    decided(seen, second_lead)
    decided(seen, sam)
    carrying.make_due("effects")
    assert now(two_needed).state == "done"
    assert json.loads(now(two_needed).edited) == json.loads(OTHER)
    assert len(server.calls) == 1


def test_who_allowed_it_may_do_so_again_once_another_counts_again(
    two_needed, server, lead, second_lead
):
    decided(two_needed, lead)
    lose(lead)
    decided(two_needed, second_lead)
    with pytest.raises(CallOver, match="You have allowed this already"):
        decided(two_needed, second_lead)
    lose(lead, Role.LEAD)
    assert decided(two_needed, second_lead).state == "allowed"
    assert CallSignature.objects.filter(approval=two_needed).count() == 2
    carrying.make_due("effects")
    assert now(two_needed).state == "done"


def test_one_who_loses_the_right_after_it_was_allowed_stops_it(
    two_needed, server, lead, second_lead
):
    decided(two_needed, lead)
    assert decided(two_needed, second_lead).state == "allowed"
    lose(lead)
    carrying.make_due("effects")
    row = now(two_needed)
    assert (row.state, server.calls) == ("failed", [])
    assert "Dana Kim allowed this but may no longer" in row.reason


def test_who_decided_must_still_be_allowed_to_though_others_are_enough(
    two_needed, server, lead, second_lead, sam
):
    decided(two_needed, lead)
    lose(lead)
    decided(two_needed, second_lead)
    decided(two_needed, sam)
    lose(lead, Role.LEAD)
    lose(sam)
    carrying.make_due("effects")
    row = now(two_needed)
    assert (row.state, server.calls) == ("failed", [])
    assert "Samira Third allowed this but may no longer" in row.reason


def test_page_inbox_and_api_say_whose_permission_does_not_count(
    client, two_needed, lead, second_lead, sam
):
    decided(two_needed, lead)
    lose(lead)
    decided(two_needed, second_lead)
    page = page_of(client, sam, two_needed)
    assert "1 of 2 allowed it" in page
    assert "Dana Kim allowed it, but may no longer: it does not count." in page
    assert "1 of 2 allowed it" in client.get("/inbox", {"at": two_needed.pk}).content.decode()
    assert "You allowed this, but may no longer" in page_of(client, lead, two_needed)
    found = by_session(sam).get(f"/api/v1/calls/{two_needed.pk}").json()
    counts = [(each["signer"]["name"], each["counts"]) for each in found["signatures"]]
    assert counts == [("Dana Kim", False), ("Ravi Singh", True)]
    mine = by_session(second_lead).get(f"/api/v1/calls/{two_needed.pk}").json()
    assert (mine["you_may_decide"], mine["you_may_allow"]) == (True, False)  # it may be refused
    lose(lead, Role.LEAD)
    mine = by_session(second_lead).get(f"/api/v1/calls/{two_needed.pk}").json()
    assert (mine["you_may_decide"], mine["you_may_allow"]) == (True, True)
    assert "as many permissions count now" in page_of(client, second_lead, two_needed)


def test_the_first_of_two_refuses_what_waits_for_the_second(
    client, two_needed, server, lead, second_lead
):
    decided(two_needed, lead)
    page = page_of(client, lead, two_needed)
    assert "Until then you may still refuse it, which decides it." in page
    assert "Allow once" not in page
    row = decided(two_needed, lead, "refuse", note="Pay it by hand.")
    assert (row.state, row.decided_by) == ("refused", lead)
    given = CallSignature.objects.order_by("id").values_list("verdict", flat=True)
    assert list(given) == ["allow", "refuse"]
    with pytest.raises(CallOver, match="Dana Kim refused this"):
        decided(two_needed, second_lead)
    carrying.make_due("effects")
    assert server.calls == []
    assert CHECK.find().count == 0
