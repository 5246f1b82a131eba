"""One person sees to what waits for a signature: claimed, assigned, given back; others may still sign."""

from __future__ import annotations

import uuid
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from agents import holds
from agents.events import Kind
from agents.models import Hold
from approvals import policies, routing, selectors, snoozing
from approvals.exceptions import DecisionConflict
from approvals.models import Approval, Assignment
from projects.exceptions import InvalidInput, NotAllowed
from projects.models import AuditEntry, Membership, Project, Role, User
from tests import console_fixtures as fixtures
from tests.api_fixtures import by_session
from tests.approval_fixtures import past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def approval(project, requester, second_lead):
    return fixtures.reviewed_task(project, requester).approval


@pytest.fixture
def third_lead(project):
    user = User.objects.create(username="kim", first_name="Kim", last_name="Third")
    Membership.objects.create(user=user, project=project, role=Role.LEAD)
    return user


def asked(person):
    return [row.pk for row in selectors.needs_you(person).pending]


def sign(approval, by, verdict="approve", note=""):
    facts = {"digest": approval.digest, "nonce": approval.nonce, "note": note}
    return decide(approval.pk, by=by, verdict=verdict, **facts)


def told(approval):
    rows = approval.task.events.filter(kind=Kind.APPROVAL_ASSIGNED).order_by("seq")
    return list(rows.values_list("data", flat=True))


def test_what_one_person_claims_the_others_are_not_asked(approval, lead, second_lead):
    held = routing.claim(approval, by=lead)
    assert (held.holder, held.by_id) == (lead, lead.pk)
    assert (asked(lead), asked(second_lead)) == ([approval.pk], [])
    assert selectors.count_needs_you(second_lead, cap=500) == 0
    assert told(approval) == [
        {"approval": str(approval.pk), "to": str(lead.pk), "by": lead.display_name}
    ]


@pytest.mark.parametrize("gone", ["disabled", "no_lead", "put_off"])
def test_what_is_held_by_somebody_who_is_not_asked_is_asked_of_the_others(
    approval, lead, second_lead, gone
):
    routing.claim(approval, by=lead)
    assert asked(second_lead) == []
    match gone:
        case "disabled":
            User.objects.filter(pk=lead.pk).update(is_active=False)
        case "no_lead":
            Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
        case "put_off":
            snoozing.snooze(approval, by=lead, until=timezone.now() + timedelta(hours=1))
    assert asked(second_lead) == [approval.pk]
    assert selectors.count_needs_you(second_lead, cap=500) == 1


def test_a_second_claim_says_who_has_it(approval, lead, second_lead):
    routing.claim(approval, by=lead)
    with pytest.raises(DecisionConflict, match=r"Dana Kim has this since .* assign it to yourself"):
        routing.claim(approval, by=second_lead)
    assert routing.claim(approval, by=lead).holder == lead  # twice: nothing more happens
    assert len(told(approval)) == 1


def test_a_lead_assigns_it_and_takes_it_over(approval, lead, second_lead):
    routing.assign(approval, second_lead.pk, by=lead)
    assert (asked(lead), asked(second_lead)) == ([], [approval.pk])
    routing.assign(approval, str(lead.pk), by=lead)
    assert (asked(lead), asked(second_lead)) == ([approval.pk], [])
    assert [data["to"] for data in told(approval)] == [str(second_lead.pk), str(lead.pk)]
    acts = AuditEntry.objects.filter(object_id=str(approval.pk)).order_by("pk")
    acts = acts.filter(action__in=["approval.assigned", "approval.claimed"])
    assert list(acts.values_list("action", "detail__to")) == [
        ("approval.assigned", "ravi"),
        ("approval.claimed", "dana"),
    ]


def test_it_is_given_back_by_who_has_it_alone(approval, lead, second_lead):
    routing.claim(approval, by=lead)
    assert not routing.release(approval, by=second_lead)
    assert routing.release(approval, by=lead)
    assert not routing.release(approval, by=lead)
    assert asked(second_lead) == [approval.pk]
    assert AuditEntry.objects.filter(action="approval.released").count() == 1


def test_it_is_routing_and_no_right(approval, lead, second_lead):
    routing.claim(approval, by=lead)
    sign(approval, second_lead)
    assert Approval.objects.get(pk=approval.pk).state == "approved"


def test_after_half_of_the_time_the_others_are_asked_too(approval, lead, second_lead):
    held = routing.claim(approval, by=lead)
    half = approval.requested_at + (approval.expires_at - approval.requested_at) / 2
    assert held.alone_until == half
    Assignment.objects.update(alone_until=timezone.now() - timedelta(seconds=1))
    assert asked(second_lead) == [approval.pk]


def test_the_half_stands_still_under_a_hold(approval, lead, second_lead):
    routing.claim(approval, by=lead)
    long_ago = (
        "UPDATE approvals_approval SET requested_at = now() - interval '2 hours' WHERE id = %s"
    )
    past_triggers(long_ago, approval.pk)
    Assignment.objects.update(alone_until=timezone.now() - timedelta(minutes=10))
    hold = holds.place(by=lead, task=approval.task)
    Hold.objects.filter(pk=hold.pk).update(placed_at=timezone.now() - timedelta(minutes=20))
    assert asked(second_lead) == []
    Hold.objects.filter(pk=hold.pk).update(placed_at=timezone.now() - timedelta(minutes=5))
    assert asked(second_lead) == [approval.pk]
    Hold.objects.filter(pk=hold.pk).update(
        placed_at=timezone.now() - timedelta(minutes=60),
        lifted_at=timezone.now() - timedelta(minutes=45),
        lifted_by=lead,
    )
    assert asked(second_lead) == []  # lifted since: its time still does not count


def test_a_claim_ends_with_what_it_is_of(approval, lead, second_lead):
    routing.claim(approval, by=lead)
    assert Assignment.objects.get().alone_until
    sign(approval, second_lead)
    assert Assignment.objects.get().alone_until is None


def test_where_more_must_sign_the_others_are_asked_all_the_while(
    project, requester, lead, second_lead, third_lead
):
    policies.change(project, by=lead, signatures_needed=2)
    approval = fixtures.reviewed_task(project, requester).approval
    assert routing.claim(approval, by=lead).alone_until is None
    assert asked(second_lead) == [approval.pk]
    sign(approval, second_lead)
    routing.release(approval, by=lead)
    routing.claim(approval, by=third_lead)  # one signature is missing
    assert (asked(lead), asked(third_lead)) == ([], [approval.pk])


def test_whom_a_rule_names_is_asked_though_another_has_it(project, requester, lead, second_lead):
    rule = policies.Rule(name="Ravi looks", signers=[second_lead])
    policies.change(project, by=lead, rules=[rule])
    approval = fixtures.reviewed_task(project, requester).approval
    routing.claim(approval, by=lead)
    assert asked(second_lead) == [approval.pk]


def test_nobody_claims_what_does_not_wait_for_them(approval, requester, stranger, lead):
    for person in (requester, stranger):
        with pytest.raises(NotAllowed):
            routing.claim(approval, by=person)
        with pytest.raises(NotAllowed):
            routing.assign(approval, lead.pk, by=person)
    sign(approval, lead)
    with pytest.raises(DecisionConflict, match="nobody has to see to it"):
        routing.claim(approval, by=lead)
    assert not Assignment.objects.exists()


def test_it_is_assigned_only_to_who_may_sign(approval, lead, requester, stranger, third_lead):
    third_lead.is_active = False
    third_lead.save()
    for person in (requester.pk, stranger.pk, third_lead.pk, uuid.uuid4(), "x"):
        with pytest.raises(InvalidInput, match="may sign this and has not"):
            routing.assign(approval, person, by=lead)


def test_a_requester_who_leads_may_assign_it_but_is_never_given_it(project, lead, second_lead):
    approval = fixtures.reviewed_task(project, lead).approval
    assert routing.assign(approval, second_lead.pk, by=lead).holder == second_lead
    with pytest.raises(InvalidInput):
        routing.assign(approval, lead.pk, by=second_lead)
    with pytest.raises(NotAllowed):
        routing.claim(approval, by=lead)


def test_who_has_signed_is_given_nothing(project, requester, lead, second_lead, third_lead):
    policies.change(project, by=lead, signatures_needed=2)
    approval = fixtures.reviewed_task(project, requester).approval
    sign(approval, lead)
    with pytest.raises(DecisionConflict, match="signed this already"):
        routing.claim(approval, by=lead)
    with pytest.raises(InvalidInput, match="may sign this and has not"):
        routing.assign(approval, lead.pk, by=second_lead)


def test_the_database_keeps_one_holder(approval, lead, second_lead):
    routing.claim(approval, by=lead)
    with pytest.raises(IntegrityError, match="one_holder_per_approval"), transaction.atomic():
        Assignment.objects.create(
            approval=approval, project=approval.project, holder=second_lead, by=second_lead
        )


def at_once(*acts):
    """Do things at once in threads; return what each gave or raised."""
    start, given = Barrier(len(acts)), [None] * len(acts)

    def run(place, act):
        try:
            start.wait()
            given[place] = act()
        except Exception as error:  # noqa: BLE001  # looked at by the test
            given[place] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return given


@pytest.mark.django_db(transaction=True)
def test_of_two_claims_at_once_one_wins(project, requester, lead, second_lead):
    for _ in range(10):
        approval = fixtures.reviewed_task(project, requester).approval
        given = at_once(
            lambda: routing.claim(approval, by=lead),  # noqa: B023  # run before the next
            lambda: routing.claim(approval, by=second_lead),  # noqa: B023
        )
        (winner,) = [each for each in given if isinstance(each, Assignment)]
        (loser,) = [each for each in given if not isinstance(each, Assignment)]
        assert isinstance(loser, DecisionConflict), loser
        assert winner.holder.display_name in str(loser)
        assert Assignment.objects.get(approval=approval).holder == winner.holder
        assert len(told(approval)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_claim_never_stops_a_decision(project, requester, lead, second_lead):
    for _ in range(10):
        approval = fixtures.reviewed_task(project, requester).approval
        claimed, signed = at_once(
            lambda: routing.claim(approval, by=lead),  # noqa: B023
            lambda: sign(approval, second_lead),  # noqa: B023
        )
        assert not isinstance(signed, Exception), signed
        assert isinstance(claimed, Assignment | DecisionConflict), claimed
        assert Approval.objects.get(pk=approval.pk).state == "approved"


def test_the_api_claims_assigns_and_releases(approval, lead, second_lead):
    address = reverse("api:assignment", args=[approval.pk])
    caller = by_session(lead)
    answer = caller.post(address)
    assert (answer.status_code, answer.json()["holder"]["id"]) == (200, str(lead.pk))
    late = by_session(second_lead).post(address)
    assert (late.status_code, late.json()["state"]) == (409, "pending")
    assert "Dana Kim has this" in late.json()["detail"]
    answer = by_session(second_lead).post(address, {"to": str(second_lead.pk)})
    assert answer.json()["holder"]["name"] == "Ravi Singh"
    shown = caller.get(reverse("api:approval", args=[approval.pk])).json()
    assert shown["assignment"] == answer.json()
    assert caller("DELETE", address).status_code == 204  # not theirs
    assert Assignment.objects.exists()
    assert by_session(second_lead)("DELETE", address).status_code == 204
    assert not Assignment.objects.exists()


@pytest.mark.parametrize("to", [None, 7, "", "dana", [], str(uuid.uuid4())])
def test_the_api_says_whom_it_takes(approval, lead, to):
    answer = by_session(lead).post(reverse("api:assignment", args=[approval.pk]), {"to": to})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["to"])
    assert not Assignment.objects.exists()


def test_another_projects_lead_finds_nothing(approval, stranger):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    Membership.objects.create(user=stranger, project=other, role=Role.LEAD)
    assert (
        by_session(stranger).post(f"/api/v1/approvals/{approval.pk}/assignment").status_code == 404
    )


def test_the_inbox_and_the_review_page_say_who_sees_to_it(client, approval, lead, second_lead):
    client.force_login(lead)
    assign = reverse("console:assign", args=[approval.pk])
    number, review = approval.task.label, reverse("console:review", args=[approval.task.number, 1])
    assert assign in client.get("/inbox").content.decode()
    done = client.post(assign, {"next": review}, follow=True)
    assert done.redirect_chain[-1][0] == review
    page = " ".join(done.content.decode().split())
    assert f"You see to {number} now." in page
    assert "you see to it" in page
    assert "Give it back" in page
    assert "you see to it" in client.get("/inbox").content.decode()
    done = client.post(assign, {"to": str(second_lead.pk)}, follow=True)
    assert f"Ravi Singh sees to {number} now." in done.content.decode()
    assert "Nothing waits for you." in done.content.decode()
    page = " ".join(client.get(review).content.decode().split())
    assert "Ravi Singh sees to it" in page
    assert "Take it over" in page
    said = client.post(reverse("console:release", args=[approval.pk]), follow=True)
    assert f"You do not hold {number}" in said.content.decode()


def test_the_pages_refuse_in_words(client, approval, lead, second_lead, requester, stranger):
    assign, release = (
        reverse(f"console:{name}", args=[approval.pk]) for name in ("assign", "release")
    )
    routing.claim(approval, by=second_lead)
    client.force_login(lead)
    assert "Ravi Singh has this since" in client.post(assign, follow=True).content.decode()
    assert client.post(assign, {"to": "x", "next": "//evil.example"}).headers["Location"] == "/"
    client.force_login(requester)
    said = client.post(assign, {"to": str(lead.pk)}, follow=True).content.decode()
    assert "Only a tech lead of this project can assign a review." in said
    client.force_login(stranger)
    for address in (assign, release):
        assert client.post(address).status_code == 404
        assert client.get(address).status_code == 405
    assert Assignment.objects.get().holder == second_lead
