"""Of several signatures those of people who may not sign any more do not count: it waits for others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from agents.events import Kind
from agents.lifecycle import EscalationState
from agents.models import Escalation
from agents.models.tasks import Choice
from approvals import (
    absences,
    bulk,
    effects,
    following,
    invariants,
    policies,
    routing,
    sealing,
    selectors,
)
from approvals.deciding import AlreadyDecided, NotAllowed
from approvals.models import Approval, Effect
from countersign.console import eventwords
from projects.models import AuditEntry, Membership, Role, User
from tests.api_fixtures import by_session
from tests.approval_fixtures import (
    first_parents,
    make_change,
    make_report,
    make_repository,
    move_main,
    past_triggers,
)
from tests.holding_fixtures import merge_again, signed
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
CHECKS = [check for check in invariants.CHECKS if check.name in {"effect-signed", "decided-once"}]


@pytest.fixture
def sam(project) -> User:
    person = User.objects.create(username="samira", first_name="Samira", last_name="Third")
    Membership.objects.create(user=person, project=project, role=Role.LEAD)
    return person


@pytest.fixture
def approval(project, requester, lead, second_lead, sam) -> Approval:
    """A report that two must sign, carried out at once."""
    policies.change(project, by=lead, signatures_needed=2, undo_seconds=0)
    return sealing.seal(make_report(project, requester))


def sign(approval: Approval, by: User, verdict: str = "approve", **facts: str) -> str:
    """Decide as somebody who has just looked at it; return its state."""
    seen = {"digest": approval.digest, "nonce": approval.nonce}
    decide(approval.pk, by=by, verdict=verdict, **seen, **facts)
    return state(approval)


def state(approval: Approval) -> str:
    return Approval.objects.get(pk=approval.pk).state


def lose(person: User, role: str = "requester") -> None:
    Membership.objects.filter(user=person).update(role=role)


def disable(person: User) -> None:
    person.is_active = False
    person.save()


def take_over(approval: Approval, person: User) -> None:
    """Let them do a part of the work."""
    Escalation.objects.create(
        task=approval.task,
        rule="max_turns",
        detail="All turns are used.",
        options=["take_over", "stop"],
        state=EscalationState.RESOLVED,
        choice=Choice.TAKE_OVER,
        resolved_by=person,
        resolved_at=timezone.now(),
    )


LOST = {
    "no lead any more": lambda _, person: lose(person),
    "left the project": lambda _, person: Membership.objects.filter(user=person).delete(),
    "disabled": lambda _, person: disable(person),
    "did a part of it": take_over,
}


def carried_out(approval: Approval) -> tuple[str, str]:
    """Let the worker look; return what became of the effect, and why."""
    effects.carry_out_due("worker")
    effect = Effect.objects.get(approval=approval)
    return effect.state, effect.error


def told(approval: Approval) -> list[tuple[int, int, list[str]]]:
    rows = approval.task.events.filter(kind=Kind.APPROVAL_SIGNED).order_by("seq")
    facts = rows.values_list("data", flat=True)
    return [(each["signed"], each["needed"], each.get("lapsed", [])) for each in facts]


def sound() -> bool:
    return not any(check.find().count for check in CHECKS)


@pytest.mark.parametrize("how", LOST)
def test_a_signature_whose_person_lost_the_right_is_replaced(approval, lead, second_lead, sam, how):
    assert sign(approval, lead) == "pending"
    LOST[how](approval, lead)
    assert sign(approval, second_lead) == "pending"
    assert not Effect.objects.exists()
    assert sign(approval, sam) == "approved"
    assert told(approval) == [(1, 2, []), (1, 2, ["Dana Kim"]), (2, 2, ["Dana Kim"])]
    assert carried_out(approval) == ("done", "")
    assert sound()


def test_who_stands_in_counts_no_more_for_somebody_who_may_not_sign(
    project, requester, lead, second_lead, sam
):
    rule = policies.Rule(name="One of two", signers=[second_lead, sam])
    policies.change(project, by=lead, rules=[rule], signatures_needed=2, undo_seconds=0)
    approval = sealing.seal(make_report(project, requester))
    third = User.objects.create(username="ana", first_name="Ana", last_name="Ruiz")
    Membership.objects.create(user=third, project=project, role=Role.LEAD)
    now, day = timezone.now(), timedelta(days=1)
    chosen = {project.pk: lead.pk}
    absences.leave(second_lead, begins_at=now - day, ends_at=now + day, delegates=chosen)
    assert sign(approval, lead) == "pending"
    lose(second_lead)
    assert sign(approval, third) == "pending"  # two, but nobody the rule names
    assert sign(approval, sam) == "approved"
    assert carried_out(approval) == ("done", "")


def test_who_signed_may_approve_again_once_another_counts_again(
    client, approval, lead, second_lead
):
    sign(approval, lead)
    lose(lead)
    assert sign(approval, second_lead) == "pending"
    with pytest.raises(NotAllowed):
        sign(approval, lead)
    with pytest.raises(AlreadyDecided, match="signed this already"):
        sign(approval, second_lead)
    lose(lead, Role.LEAD)
    assert sign(approval, lead, note="I am back.") == "approved"
    assert signed(approval) == [("dana", "approve"), ("ravi", "approve")]
    assert len(told(approval)) == 2  # nobody signed a third time
    entry = AuditEntry.objects.filter(action="approval.approve").latest("id")
    assert (entry.actor, entry.detail["settles"]) == (lead, True)
    client.force_login(second_lead)
    assert "I am back." in client.get(f"/review/{approval.task.label}/r1").content.decode()
    assert carried_out(approval) == ("done", "")
    assert sound()


def waits_for(*people: User) -> list[str]:
    """Return in whose inbox it is."""
    return [person.username for person in people if selectors.needs_you(person).pending]


def test_what_enough_have_signed_is_in_their_inboxes_once_a_right_is_back(
    approval, lead, second_lead, sam
):
    people = (lead, second_lead, sam)
    sign(approval, lead)
    assert waits_for(*people) == ["ravi", "samira"]
    lose(lead)
    sign(approval, second_lead)
    assert waits_for(*people) == ["samira"]
    lose(lead, Role.LEAD)
    assert waits_for(*people) == ["dana", "ravi", "samira"]
    assert selectors.count_needs_you(lead, cap=9) == 1
    sign(approval, second_lead)
    assert waits_for(*people) == []


@pytest.mark.parametrize("how", [how for how in LOST if how != "no lead any more"])
def test_who_signed_is_not_asked_while_another_who_did_may_not(
    approval, lead, second_lead, sam, how
):
    sign(approval, lead)
    LOST[how](approval, lead)
    sign(approval, second_lead)
    assert waits_for(lead, second_lead, sam) == ["samira"]


def test_who_signed_is_not_asked_while_a_rule_waits_for_another(
    project, requester, lead, second_lead, sam
):
    rule = policies.Rule(name="Sam", signers=[sam])
    policies.change(project, by=lead, rules=[rule], signatures_needed=2, undo_seconds=0)
    approval = sealing.seal(make_report(project, requester))
    sign(approval, lead)
    sign(approval, second_lead)
    assert waits_for(lead, second_lead, sam) == ["samira"]


def test_a_signer_who_loses_the_right_after_it_was_approved_stops_it(approval, lead, second_lead):
    sign(approval, lead)
    assert sign(approval, second_lead) == "approved"
    lose(lead)
    became, why = carried_out(approval)
    assert became == "failed"
    assert "Dana Kim signed this but may no longer sign" in why


def test_who_decided_must_still_be_allowed_to_though_others_are_enough(
    approval, lead, second_lead, sam
):
    sign(approval, lead)
    lose(lead)
    sign(approval, second_lead)
    assert sign(approval, sam) == "approved"
    lose(lead, Role.LEAD)
    lose(sam)
    became, why = carried_out(approval)
    assert became == "failed"
    assert "Samira Third signed this but may no longer sign" in why


def test_a_signature_that_was_passed_over_still_covers_the_same_bytes(
    approval, lead, second_lead, sam
):
    sign(approval, lead)
    lose(lead)
    sign(approval, second_lead)
    sign(approval, sam)
    past_triggers(
        "UPDATE approvals_signature SET digest = repeat('0', 64) WHERE signer_id = %s", lead.pk
    )
    became, why = carried_out(approval)
    assert became == "failed"
    assert "the signature of Dana Kim differ" in why


def test_a_carried_signature_does_not_count_once_its_person_may_not_sign(
    project, requester, lead, second_lead, sam, tmp_path, monkeypatch
):
    policies.change(project, by=lead, signatures_needed=2, undo_seconds=0)
    bare = make_repository(tmp_path, project)
    first = sealing.seal(make_change(project, requester, tmp_path))
    sign(first, lead)
    move_main(bare)
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)
    assert following.follow({}) == 1
    first.refresh_from_db()
    again = merge_again(first, tmp_path)
    assert signed(again) == [("dana", "approve")]
    lose(lead)
    assert sign(again, second_lead) == "pending"
    assert sign(again, sam) == "approved"
    assert carried_out(again) == ("done", "")
    assert len(first_parents(bare)) == 3
    assert sound()


def test_a_lead_who_would_be_the_last_has_it_alone_and_no_other(approval, lead, second_lead):
    sign(approval, lead)
    assert routing.claim(approval, by=second_lead).alone_until is not None
    routing.release(approval, by=second_lead)
    lose(lead)
    assert routing.claim(approval, by=second_lead).alone_until is None


def test_in_bulk_it_needs_one_signature_more(project, requester, lead, second_lead, tmp_path):
    make_repository(tmp_path, project)
    policies.change(project, by=lead, money_paths=[], signatures_needed=2)
    change = sealing.seal(make_change(project, requester, tmp_path))
    sign(change, lead)
    assert bulk.look(second_lead, [change.pk]).allowed
    lose(lead)
    selection = bulk.look(second_lead, [change.pk])
    assert "needs one more signature besides yours" in selection.common


def page_of(client, person: User, approval: Approval) -> str:
    client.force_login(person)
    return " ".join(client.get(f"/review/{approval.task.label}/r1").content.decode().split())


def test_the_page_says_whose_signature_does_not_count(client, approval, lead, second_lead, sam):
    sign(approval, lead)
    says = "Dana Kim signed, but may no longer: it does not count."
    page = page_of(client, second_lead, approval)
    assert "1 of 2 signed" in page
    assert says not in page
    lose(lead)
    page = page_of(client, second_lead, approval)
    assert "0 of 2 signed" in page
    assert says in page
    page = page_of(client, lead, approval)
    assert "You signed this, but may no longer: it does not count." in page
    assert 'id="decision"' not in page
    sign(approval, second_lead)
    assert "1 of 2 signed" in page_of(client, sam, approval)
    last = approval.task.events.filter(kind=Kind.APPROVAL_SIGNED).latest("seq")
    assert eventwords.say(last).detail == "1 of 2 signatures; Dana Kim signed, but may no longer"
    sign(approval, sam)
    assert says in page_of(client, sam, approval)
    carried_out(approval)
    assert "but may no longer" not in page_of(client, sam, approval)  # it was carried out with two


def test_the_page_lets_who_signed_approve_where_enough_count_again(
    client, approval, lead, second_lead
):
    sign(approval, lead)
    lose(lead)
    sign(approval, second_lead)
    assert 'value="approve"' not in page_of(client, second_lead, approval)
    lose(lead, Role.LEAD)
    page = page_of(client, second_lead, approval)
    assert "as many signatures count now as are asked for" in page
    answer = client.post(
        f"/review/{approval.task.label}/r1/decide",
        {
            "approval": approval.pk,
            "verdict": "approve",
            "digest": approval.digest,
            "nonce": approval.nonce,
        },
    )
    assert (answer.status_code, state(approval)) == (302, "approved")


def test_the_api_says_which_signatures_count(approval, lead, second_lead):
    sign(approval, lead)
    lose(lead)
    sign(approval, second_lead)
    found = by_session(second_lead).get(f"/api/v1/approvals/{approval.pk}").json()
    counts = [(each["signer"]["name"], each["counts"]) for each in found["signatures"]]
    assert counts == [("Dana Kim", False), ("Ravi Singh", True)]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_replace_one_at_once_the_later_decides(
    project, requester, lead, second_lead, sam
):
    policies.change(project, by=lead, signatures_needed=2, undo_seconds=0)
    gate = threading.Barrier(2)

    def at_once(approval: Approval, person: User) -> None:
        gate.wait()
        sign(approval, person)
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            approval = sealing.seal(make_report(project, requester))
            sign(approval, lead)
            lose(lead)
            list(pool.map(at_once, [approval] * 2, [second_lead, sam]))
            assert state(approval) == "approved"
            assert [row[0] for row in told(approval)] == [1, 1, 2]
            assert Effect.objects.filter(approval=approval).count() == 1
            lose(lead, Role.LEAD)


def test_who_sees_to_it_and_has_signed_keeps_nobody_from_being_asked(
    approval, lead, second_lead, sam
):
    sign(approval, lead)
    routing.assign(approval, second_lead.pk, by=sam)
    lose(lead)
    assert selectors.count_needs_you(sam, cap=10) == 0
    assert sign(approval, second_lead) == "pending"
    assert selectors.count_needs_you(sam, cap=10) == 1
