"""What the policy asks of a call is sealed with it, waited for, and proven again before it is made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from agents.models import ToolCall
from approvals import absences, invariants, policies
from approvals.calls import carrying
from approvals.calls import selectors as call_selectors
from approvals.calls.exceptions import CallMismatch, CallOver
from approvals.calls.sealing import covered
from approvals.models import CallApproval, CallSignature, Remember
from approvals.policies import Rule
from approvals.requirements import Required
from approvals.standing.granting import Asked
from projects.across import Mine
from projects.exceptions import InvalidInput
from projects.models import AuditEntry, Membership, Role, User
from tests.api_fixtures import by_session
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import decided, park, waiting_call, working_step

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
OTHER = '{"invoice": "I-2", "cents": 5}'
CHECK = next(check for check in invariants.CHECKS if check.name == "call-allowed")
STOOD_IN = next(check for check in invariants.CHECKS if check.name == "stood-in")


@pytest.fixture
def third_lead(project) -> User:
    person = User.objects.create_user("ana", first_name="Ana", last_name="Ruiz")
    Membership.objects.create(user=person, project=project, role=Role.LEAD)
    return person


@pytest.fixture
def two_needed(tool, project, requester, lead, second_lead) -> CallApproval:
    """A call that two must allow."""
    policies.change(
        project, by=lead, rules=[Rule(name="Paying", tools=["pay/*"], signatures_needed=2)]
    )
    return waiting_call(project, requester)


def now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call", "step", "task").get(pk=row.pk)


def seen(row: CallApproval) -> CallApproval:
    """Return it with the digest its page names now."""
    row = now(row)
    row.digest = covered(row)
    return row


def hours(row: CallApproval) -> int:
    row = now(row)
    return round((row.expires_at - row.requested_at) / timedelta(hours=1))


def test_the_strictest_rule_for_its_tool_and_risk_is_sealed(tool, project, requester, lead):
    policies.change(
        project,
        by=lead,
        rules=[
            Rule(name="Paying", tools=["pay/pay"], expires_hours=6),
            Rule(name="Danger", risks=["high"], signatures_needed=3),
            Rule(name="Calls", kinds=["mcp.call"], signatures_needed=2, expires_hours=12),
            Rule(name="Mails", tools=["mail/**"], signatures_needed=5),
            Rule(name="Harmless", risks=["low", "medium"], signatures_needed=5),
            Rule(name="Merges", kinds=["git.merge"], signatures_needed=5),
            Rule(name="Files", paths=["**/billing/**"], signatures_needed=5),
            Rule(name="Looks", every_file_viewed=True),
        ],
    )
    row = waiting_call(project, requester)
    asked = row.snapshot["policy"]
    assert asked["rules"] == ["Paying", "Danger", "Calls"]
    assert (asked["signatures_needed"], asked["expires_hours"], hours(row)) == (3, 6, 6)
    assert row.risk == "high"


def test_the_base_policy_counts_and_one_is_asked_of_calls_sealed_before(
    tool, project, requester, lead
):
    policies.change(project, by=lead, signatures_needed=2)
    row = waiting_call(project, requester)
    assert Required.sealed(row.snapshot).signatures == 2
    assert Required.sealed({"policy": {"id": "x", "version": 1}}).signatures == 1


def test_a_call_two_must_allow_is_made_once_both_have(two_needed, server, lead, second_lead):
    first = decided(two_needed, lead, note="Fine by me.")
    assert (first.state, first.decided_by) == ("pending", None)
    assert carrying.make_due("effects") == 0
    signed = first.task.events.get(kind="approval.signed")
    assert (signed.data["signed"], signed.data["needed"], signed.data["tool"]) == (1, 2, "pay")
    assert decided(two_needed, second_lead).state == "allowed"
    assert carrying.make_due("effects") == 1
    assert now(two_needed).state == "done"
    assert len(server.calls) == 1
    told = AuditEntry.objects.filter(action="call.allow").order_by("id")
    assert [entry.detail["settles"] for entry in told] == [False, True]
    assert list(sql_of(CHECK)) == []


def sql_of(check):
    return check.find().shown


def test_who_has_allowed_it_is_asked_no_more_and_allows_it_no_more(
    two_needed, project, lead, second_lead
):
    decided(two_needed, lead)
    assert not waits_for(lead, two_needed)
    assert waits_for(second_lead, two_needed)
    with pytest.raises(CallOver, match="allowed this already"):
        decided(two_needed, lead)
    assert CallSignature.objects.count() == 1


def test_who_allowed_it_with_other_arguments_and_submits_twice_is_told_so(two_needed, lead):
    decided(two_needed, lead, edited=OTHER)
    with pytest.raises(CallOver, match="allowed this already"):
        decided(two_needed, lead, edited=OTHER)
    assert CallSignature.objects.count() == 1


def waits_for(person: User, row: CallApproval) -> bool:
    listed = call_selectors.waiting(person.pk, Mine.of(person))
    return row.pk in set(listed.rows.values_list("pk", flat=True))


def test_one_refusal_ends_it_however_many_allowed_it(two_needed, server, lead, second_lead):
    decided(two_needed, lead)
    row = decided(two_needed, second_lead, "refuse", note="Not this week.")
    assert (row.state, row.decided_by) == ("refused", second_lead)
    assert "Not this week." in now(row).call.result
    assert carrying.make_due("effects") == 0
    assert server.calls == []


def test_the_first_may_change_the_arguments_and_the_next_allows_just_those(
    two_needed, server, lead, second_lead
):
    decided(two_needed, lead, edited=OTHER)
    with pytest.raises(CallMismatch):  # looked at before the change
        decided(two_needed, second_lead)
    row = seen(two_needed)
    with pytest.raises(InvalidInput, match="allowed this with the arguments"):
        decided(row, second_lead, edited='{"invoice": "I-3", "cents": 7}')
    assert decided(row, second_lead).state == "allowed"
    carrying.make_due("effects")
    assert server.paid == {str(row.pk): 5}


def test_a_named_person_is_waited_for_or_who_stands_in_for_them(
    tool, server, project, requester, lead, second_lead, third_lead
):
    rules = [Rule(name="Ravi looks", tools=["pay/*"], signers=[second_lead])]
    policies.change(project, by=lead, rules=rules)
    step = working_step(project, requester)
    first, second = park(step, "A", "B")
    assert decided(first, lead).state == "pending"
    moment = timezone.now()
    absences.leave(
        second_lead,
        begins_at=moment - DAY,
        ends_at=moment + DAY,
        delegates={project.pk: third_lead.pk},
    )
    assert decided(first, third_lead).state == "allowed"
    assert decided(second, third_lead).state == "allowed"
    carrying.make_due("effects")
    assert {now(row).state for row in (first, second)} == {"done"}
    (stood,) = CallSignature.objects.get(approval=second).on_behalf_of
    assert stood["name"] == "Ravi Singh"
    assert list(sql_of(CHECK)) == list(sql_of(STOOD_IN)) == []
    # Two allowed it, and one of them decided: only who is named, or stood in for, is missing now.
    past_triggers(
        "UPDATE approvals_callsignature SET on_behalf_of = '[]' WHERE approval_id = %s", first.pk
    )
    assert [offence.pk for offence in sql_of(CHECK)] == [str(first.pk)]


@pytest.mark.parametrize(
    ("breach", "says"),
    [
        ("DELETE FROM approvals_callsignature WHERE signer_id = %(first)s", "one more signature"),
        ("UPDATE approvals_callsignature SET digest = repeat('0', 64)", "signature differ"),
        (
            'UPDATE approvals_callsignature SET on_behalf_of = \'[{"person": "x"}]\'',
            "no mark of this console",
        ),
        (
            "UPDATE projects_membership SET role = 'requester' WHERE user_id = %(first)s",
            "may no longer",
        ),
    ],
)
def test_it_is_not_made_with_less_than_was_asked_for(
    two_needed, server, lead, second_lead, breach, says
):
    decided(two_needed, lead)
    decided(two_needed, second_lead)
    past_triggers(breach.replace("%(first)s", f"'{lead.pk}'"))
    carrying.make_due("effects")
    row = now(two_needed)
    assert (row.state, server.calls) == ("failed", [])
    assert says in row.reason


def test_the_database_lets_no_worker_make_it_with_fewer_permissions_than_were_sealed(
    two_needed, server, lead
):
    """As one of the version before would, that knows of one; its console lets one be enough."""
    decided(two_needed, lead)
    past_triggers(
        "UPDATE approvals_callapproval SET state = 'allowed', decided_at = now(), decided_by_id = %s",
        lead.pk,
    )
    ToolCall.objects.filter(approvals=two_needed).update(state="waiting")
    of_old = CallApproval.objects.filter(pk=two_needed.pk)
    with pytest.raises(IntegrityError, match="fewer have allowed"), transaction.atomic():
        of_old.update(state="calling", worker="old")
    assert carrying.make_due("effects") == 0
    row = now(two_needed)
    assert (row.state, row.call.state, server.calls) == ("failed", "failed", [])
    assert "one more signature" in row.reason
    assert row.step.state == "ready"


def test_permissions_of_another_sealing_are_not_counted(two_needed, lead, second_lead):
    decided(two_needed, lead)
    decided(two_needed, second_lead)
    past_triggers(
        "UPDATE approvals_callsignature SET nonce = repeat('0', 64) WHERE signer_id = %s", lead.pk
    )
    with pytest.raises(IntegrityError, match="fewer have allowed"), transaction.atomic():
        CallApproval.objects.filter(pk=two_needed.pk).update(state="calling")


def test_the_database_takes_one_decision_of_a_person_and_one_refusal(
    two_needed, lead, second_lead, third_lead
):
    decided(two_needed, lead)
    facts = {"approval": two_needed, "requester": two_needed.requester, "digest": "", "nonce": ""}
    CallSignature.objects.create(signer=second_lead, verdict="refuse", **facts)
    for signer, verdict in ((lead, "allow"), (third_lead, "refuse")):
        with pytest.raises(IntegrityError), transaction.atomic():
            CallSignature.objects.create(signer=signer, verdict=verdict, **facts)


def test_what_one_permission_is_not_enough_for_is_not_remembered(
    two_needed, project, lead, second_lead
):
    policies.change(project, by=lead, standing_grants=Remember.ANY)
    with pytest.raises(InvalidInput, match="more than your permission"):
        decided(two_needed, lead, remember=Asked())
    assert now(two_needed).state == "pending"


def test_a_standing_grant_lets_nothing_through_that_needs_another_person(
    tool, server, project, requester, lead, second_lead
):
    policies.change(project, by=lead, standing_grants=Remember.ANY)
    first = waiting_call(project, requester)
    decided(first, lead, remember=Asked(only_this_agent=False))
    assert waiting_call(project, requester).state == "allowed"
    policies.change(
        project, by=lead, rules=[Rule(name="Paying", tools=["pay/*"], signatures_needed=2)]
    )
    assert waiting_call(project, requester).state == "pending"


@pytest.mark.django_db(transaction=True)
def test_two_who_allow_it_at_once_both_count(two_needed, lead, second_lead):
    def allow(person: User) -> str:
        try:
            return decided(two_needed, person).state
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as hands:
        states = set(hands.map(allow, (lead, second_lead)))
    assert "allowed" in states
    assert now(two_needed).state == "allowed"
    assert CallSignature.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_the_arguments_at_once_one_counts(two_needed, lead, second_lead):
    def change(person: User, invoice: str) -> bool:
        try:
            decided(two_needed, person, edited=f'{{"invoice": "{invoice}", "cents": 5}}')
        except (CallMismatch, InvalidInput):
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as hands:
        won = list(hands.map(change, (lead, second_lead), ("I-7", "I-8")))
    assert sorted(won) == [False, True]
    assert now(two_needed).state == "pending"
    assert CallSignature.objects.get().digest == covered(now(two_needed))


def test_the_page_says_who_allowed_it_and_who_is_asked_for(
    client, two_needed, project, lead, second_lead
):
    decided(two_needed, lead, edited=OTHER, note="Half of it.")
    client.force_login(lead)
    text = client.get(f"/calls/{two_needed.pk}").content.decode()
    assert "1 of 2 allowed it" in text
    assert "You have allowed it. It still waits for others to allow it." in text
    assert "Allow once" not in text
    client.force_login(second_lead)
    text = client.get(f"/calls/{two_needed.pk}").content.decode()
    for words in ("Half of it.", "Arguments as Dana Kim changed them", "“Paying”", "Allow once"):
        assert words in text
    assert "Change the arguments first" not in text
    peek = client.get(f"/inbox?at={two_needed.pk}").content.decode()
    assert "1 of 2 allowed it" in peek
    row = seen(two_needed)
    form = {"digest": row.digest, "nonce": row.nonce, "verdict": "allow"}
    answer = client.post(f"/calls/{row.pk}/decide", form, follow=True)
    assert "Allowed once." in answer.content.decode()
    assert now(row).state == "allowed"


def test_the_first_permission_is_told_to_be_one_of_several(client, two_needed, lead):
    client.force_login(lead)
    form = {"digest": two_needed.digest, "nonce": two_needed.nonce, "verdict": "allow"}
    answer = client.post(f"/calls/{two_needed.pk}/decide", form, follow=True)
    assert "It is called once as many tech leads as it needs have." in answer.content.decode()
    live = client.get(f"/calls/{two_needed.pk}/live?shown=pending-0").content.decode()
    assert "This page shows what was here" in live
    live = client.get(f"/calls/{two_needed.pk}/live?shown=pending-1").content.decode()
    assert "This page shows what was here" not in live


def test_the_api_says_what_is_asked_and_takes_the_digest_it_gave(
    two_needed, server, lead, second_lead
):
    address = f"/api/v1/calls/{two_needed.pk}"
    read = by_session(lead)("GET", address).json()
    assert (read["policy"]["signatures_needed"], read["policy"]["rules"]) == (2, ["Paying"])
    given = {"digest": read["digest"], "nonce": read["nonce"], "verdict": "allow"}
    arguments = {"invoice": "I-8", "cents": 3}
    answer = by_session(lead)("POST", f"{address}/decision", {**given, "arguments": arguments})
    assert (answer.status_code, answer.json()["state"]) == (201, "pending")
    read = by_session(second_lead)("GET", address).json()
    assert (read["edited"], read["you_may_decide"]) == (arguments, True)
    assert [each["signer"]["name"] for each in read["signatures"]] == ["Dana Kim"]
    assert by_session(second_lead)("POST", f"{address}/decision", given).status_code == 422
    given["digest"] = read["digest"]
    answer = by_session(second_lead)("POST", f"{address}/decision", given)
    assert answer.json()["state"] == "allowed"
    assert by_session(lead)("GET", address).json()["you_may_decide"] is False


def test_a_call_made_with_too_few_permissions_is_an_offence(two_needed, lead, second_lead):
    decided(two_needed, lead)
    decided(two_needed, second_lead)
    past_triggers("DELETE FROM approvals_callsignature WHERE signer_id = %s", lead.pk)
    (offence,) = sql_of(CHECK)
    assert "not allowed by all" in offence.said
