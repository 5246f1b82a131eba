"""One person sees to a call that waits for permission; others may still decide on it."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from agents import holds
from agents.events import Kind
from agents.models import Escalation, Event
from agents.models.tasks import Choice
from agents.models.tasks import Rule as Rules
from approvals import absences, policies, routing, selectors, snoozing
from approvals.calls import selectors as call_selectors
from approvals.exceptions import DecisionConflict
from approvals.models import CallApproval, CallAssignment
from approvals.policies import Rule
from notices import reading, words
from notices.models import Notification
from projects import across
from projects.across import Mine
from projects.exceptions import InvalidInput, NotAllowed
from projects.models import AuditEntry, Membership, Project, Role, User
from tests.api_fixtures import by_session
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import decided, waiting_call
from tests.notice_fixtures import read_all

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def call(waiting, second_lead) -> CallApproval:
    return CallApproval.objects.select_related("project", "task").get(pk=waiting.pk)


def asked(person: User) -> set:
    listed = call_selectors.waiting(person.pk, Mine.of(person))
    return set(
        CallApproval.objects.filter(pk__in=listed.keys(["id"], 10)).values_list("pk", flat=True)
    )


def take_over(call: CallApproval, person: User) -> None:
    """Let a person do another step of its task themselves."""
    Escalation.objects.create(
        task=call.task,
        rule=Rules.BLOCKED,
        detail="It does not build.",
        options=[Choice.TAKE_OVER],
        state="resolved",
        choice=Choice.TAKE_OVER,
        resolved_by=person,
        resolved_at=timezone.now(),
    )


def events(call: CallApproval) -> list[dict]:
    rows = Event.objects.filter(task=call.task, kind=Kind.APPROVAL_ASSIGNED).order_by("seq")
    return list(rows.values_list("data", flat=True))


def test_what_one_person_claims_the_others_are_not_asked(call, lead, second_lead):
    held = routing.claim(call, by=lead)
    assert (held.holder, held.by_id) == (lead, lead.pk)
    assert (asked(lead), asked(second_lead)) == ({call.pk}, set())
    assert selectors.count_needs_you(second_lead, cap=500) == 0
    assert selectors.count_needs_you(lead, cap=500) == 1
    told = {"approval": str(call.pk), "to": str(lead.pk), "by": "Dana Kim", "tool": "pay"}
    assert events(call) == [told]
    assert routing.claim(call, by=lead).holder == lead  # twice: nothing more happens
    assert len(events(call)) == 1
    with pytest.raises(DecisionConflict, match=r"Dana Kim has this since .* assign it to yourself"):
        routing.claim(call, by=second_lead)


@pytest.mark.parametrize(
    "gone", ["disabled", "no_lead", "put_off", "away", "half", "took_over", "decided"]
)
def test_what_is_held_by_somebody_who_is_not_asked_is_asked_of_the_others(
    call, lead, second_lead, gone
):
    routing.claim(call, by=lead)
    assert asked(second_lead) == set()
    moment = timezone.now()
    match gone:
        case "disabled":
            User.objects.filter(pk=lead.pk).update(is_active=False)
        case "no_lead":
            Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
        case "put_off":
            snoozing.snooze(call, by=lead, until=moment + timedelta(hours=1))
        case "away":
            absences.leave(lead, begins_at=moment - DAY, ends_at=moment + DAY)
        case "half":
            CallAssignment.objects.update(alone_until=moment)
        case "took_over":
            take_over(call, lead)
            assert asked(lead) == set()
        case "decided":
            decided(call, second_lead)
            assert CallAssignment.objects.get().alone_until is None
            return
    assert asked(second_lead) == {call.pk}


def test_what_its_requester_holds_is_asked_of_the_others_once_one_person_may_not_do_everything(
    tool, project, lead, second_lead
):
    Project.objects.update(single_person=True)
    row = waiting_call(Project.objects.get(), lead)
    row = CallApproval.objects.select_related("project", "task").get(pk=row.pk)
    routing.claim(row, by=lead)
    assert (asked(lead), asked(second_lead)) == ({row.pk}, set())
    take_over(row, lead)
    assert (asked(lead), asked(second_lead)) == ({row.pk}, set())
    Project.objects.update(single_person=False)
    assert (asked(lead), asked(second_lead)) == (set(), {row.pk})


def test_a_hold_stops_the_time_in_which_one_person_sees_to_it(call, lead, second_lead):
    routing.claim(call, by=lead)
    hold = holds.place(by=lead, task=call.task)
    past_triggers(
        "UPDATE agents_hold SET placed_at = now() - interval '1 hour' WHERE id = %s", hold.pk
    )
    past_triggers(
        "UPDATE approvals_callapproval SET requested_at = now() - interval '2 hours' WHERE id = %s",
        call.pk,
    )
    CallAssignment.objects.update(alone_until=timezone.now() - timedelta(minutes=30))
    assert asked(second_lead) == set()


def test_when_others_must_allow_it_too_they_are_asked_beside_who_has_it(
    tool, project, requester, lead, second_lead
):
    rules = [Rule(name="Paying", tools=["pay/*"], signatures_needed=2)]
    policies.change(project, by=lead, rules=rules)
    call = waiting_call(project, requester)
    assert routing.claim(call, by=lead).alone_until is None
    assert asked(second_lead) == {call.pk}
    decided(call, lead)
    with pytest.raises(DecisionConflict, match="signed this already"):
        routing.claim(call, by=lead)
    assert routing.assign(call, second_lead.pk, by=lead).alone_until is not None


def test_a_lead_assigns_it_takes_it_over_and_gives_it_back(call, lead, second_lead):
    routing.assign(call, second_lead.pk, by=lead)
    assert (asked(lead), asked(second_lead)) == (set(), {call.pk})
    routing.assign(call, str(lead.pk), by=lead)
    assert not routing.release(call, by=second_lead)
    assert routing.release(call, by=lead)
    assert not routing.release(call, by=lead)
    assert asked(second_lead) == {call.pk}
    acts = AuditEntry.objects.filter(object_id=str(call.pk)).order_by("pk")
    assert list(acts.values_list("action", flat=True)) == [
        "call.requested",
        "call.assigned",
        "call.claimed",
        "call.released",
    ]


def test_it_is_given_to_nobody_who_may_not_decide(call, project, requester, lead, second_lead):
    for person in (requester, User.objects.create(username="stranger")):
        with pytest.raises(InvalidInput):
            routing.assign(call, person.pk, by=lead)
        with pytest.raises(NotAllowed):
            routing.claim(call, by=person)
        with pytest.raises(NotAllowed):
            routing.assign(call, lead.pk, by=person)
    moment = timezone.now()
    chosen = {project.pk: lead.pk}
    absences.leave(second_lead, begins_at=moment - DAY, ends_at=moment + DAY, delegates=chosen)
    with pytest.raises(InvalidInput, match="Dana Kim stands in"):
        routing.assign(call, second_lead.pk, by=lead)
    assert not CallAssignment.objects.exists()


def test_what_was_decided_is_held_by_nobody_new(call, lead, second_lead):
    decided(call, lead)
    with pytest.raises(DecisionConflict, match="does not wait for permission any more"):
        routing.claim(call, by=second_lead)


def test_the_database_keeps_one_holder(call, lead, second_lead):
    routing.claim(call, by=lead)
    with pytest.raises(IntegrityError), transaction.atomic():
        CallAssignment.objects.create(
            approval=call, project=call.project, holder=second_lead, by=lead
        )


@pytest.mark.django_db(transaction=True)
def test_of_two_who_claim_it_at_once_one_has_it(call, lead, second_lead):
    start, got = Barrier(2), []

    def take(person: User) -> None:
        try:
            start.wait()
            got.append(routing.claim(call, by=person).holder)
        except DecisionConflict:
            got.append(None)
        finally:
            connection.close()

    threads = [Thread(target=take, args=[person]) for person in (lead, second_lead)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count(None) == 1
    assert CallAssignment.objects.get().holder in got


@pytest.mark.django_db(transaction=True)
def test_claiming_while_another_decides_blocks_nobody_for_ever(call, lead, second_lead):
    start, ended = Barrier(2), []

    def run(act) -> None:
        try:
            start.wait()
            act()
        except DecisionConflict:
            pass
        finally:
            ended.append(act)
            connection.close()

    acts = [lambda: routing.claim(call, by=lead), lambda: decided(call, second_lead)]
    threads = [Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ended) == 2
    assert CallApproval.objects.get(pk=call.pk).state == "allowed"
    assert not CallAssignment.objects.filter(alone_until__isnull=False).exists()


def test_it_is_claimed_assigned_and_given_back_on_its_page(client, call, lead, second_lead):
    client.force_login(lead)
    page = f"/calls/{call.pk}"
    text = client.get(page).content.decode()
    assert "Claim it" in text
    assert "Others may still decide on it; unless several must, only one is asked until" in text
    sent = client.post(reverse("console:call_assign", args=[call.pk]), {"next": page}, follow=True)
    assert sent.redirect_chain[-1][0] == page
    assert f"You see to the call of {call.task.label} now." in sent.content.decode()
    assert "you see to it" in client.get("/inbox").content.decode()
    client.post(reverse("console:call_assign", args=[call.pk]), {"to": str(second_lead.pk)})
    assert "Ravi Singh sees to it" in client.get(page).content.decode()
    client.force_login(second_lead)
    peek = client.get(f"/inbox?at={call.pk}").content.decode()
    assert "Give it back" in peek
    text = client.post(
        reverse("console:call_release", args=[call.pk]), follow=True
    ).content.decode()
    assert f"You gave the call of {call.task.label} back. All who may decide are asked." in text
    assert not CallAssignment.objects.exists()


def test_the_row_says_for_whom_it_would_be_allowed(
    client, tool, project, requester, lead, second_lead
):
    policies.change(project, by=lead, rules=[Rule(name="Ravi", signers=[second_lead])])
    call = waiting_call(project, requester)
    moment = timezone.now()
    chosen = {project.pk: lead.pk}
    absences.leave(second_lead, begins_at=moment - DAY, ends_at=moment + DAY, delegates=chosen)
    client.force_login(lead)
    assert "for Ravi Singh" in client.get("/inbox").content.decode()
    assert (
        "Yours counts for Ravi Singh, who is away."
        in client.get(f"/calls/{call.pk}").content.decode()
    )


def test_it_is_assigned_over_the_api(call, lead, second_lead):
    address = f"/api/v1/calls/{call.pk}"
    answer = by_session(lead)("POST", f"{address}/assignment", {})
    assert (answer.status_code, answer.json()["holder"]["name"]) == (200, "Dana Kim")
    assert by_session(second_lead)("POST", f"{address}/assignment", {}).status_code == 409
    assert by_session(lead)("GET", address).json()["assignment"]["holder"]["id"] == str(lead.pk)
    to = {"to": str(second_lead.pk)}
    assert by_session(lead)("POST", f"{address}/assignment", to).status_code == 200
    assert by_session(second_lead)("DELETE", f"{address}/assignment").status_code == 204
    assert by_session(lead)("GET", address).json()["assignment"] is None


@pytest.mark.django_db(transaction=True)
def test_who_is_given_a_call_is_told(call, lead, second_lead):
    reading.begin()
    routing.assign(call, second_lead.pk, by=lead)
    read_all()
    line = Notification.objects.get(notice__type=Kind.APPROVAL_ASSIGNED)
    assert (line.person, line.notice.call_id) == (second_lead, call.pk)
    assert words.sentence(line.notice) == "Dana Kim gave you this call of a tool"


def test_the_counts_know_of_claims(call, lead, second_lead):
    mine = Mine.of(second_lead)
    before = across.counts({"": selectors.asked_of(second_lead, mine, 10)})[""]
    routing.claim(call, by=lead)
    after = across.counts({"": selectors.asked_of(second_lead, mine, 10)})[""]
    assert (before, after) == (1, 0)
