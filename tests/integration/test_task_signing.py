"""The task page asks for a signature whom the inbox asks: who may sign and has not."""

from __future__ import annotations

import pytest
from django.utils import timezone

from agents import holds
from agents.lifecycle import EscalationState
from agents.models import Escalation
from agents.models.tasks import Choice
from approvals import effects, policies, sealing
from approvals.models import Approval, Effect
from projects.models import Membership, Role, User
from tests.approval_fixtures import make_report, past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
ASKED = "Waits for your signature"


@pytest.fixture
def approval(project, requester, lead, second_lead):
    policies.change(project, by=lead, signatures_needed=2)
    return sealing.seal(make_report(project, requester))


@pytest.fixture
def shown(client, approval):
    """Return what shows the task to somebody."""

    def opened(who) -> str:
        client.force_login(who)
        answer = client.get(f"/tasks/{approval.task.label}")
        return " ".join(answer.content.decode().split())

    return opened


def approve(approval, *people) -> None:
    for person in people:
        seen = {"digest": approval.digest, "nonce": approval.nonce}
        decide(approval.pk, by=person, verdict="approve", **seen)


def took_over(task, person) -> None:
    """Let this person have done a step of the task."""
    Escalation.objects.create(
        task=task,
        step=task.steps.first(),
        rule="max_turns",
        detail="All turns are used.",
        options=["take_over", "stop"],
        state=EscalationState.RESOLVED,
        choice=Choice.TAKE_OVER,
        resolved_by=person,
        resolved_at=timezone.now(),
    )


def asks(page: str) -> bool:
    """Tell whether it asks for a signature, in all three places or in none."""
    told = {ASKED in page, "waits for your signature." in page, "Review and decide" in page}
    assert len(told) == 1
    return told.pop()


def test_who_has_signed_is_told_for_whom_it_waits(shown, approval, lead, second_lead):
    assert asks(shown(lead))
    approve(approval, lead)
    page = shown(lead)
    assert not asks(page)
    assert "Round 1 waits for Ravi Singh." in page
    assert "See the proposal" in page
    assert asks(shown(second_lead))


def test_who_did_a_part_of_the_work_is_not_asked(shown, approval, lead, second_lead):
    took_over(approval.task, lead)
    assert not asks(shown(lead))
    assert asks(shown(second_lead))


def test_who_asked_for_it_is_told_who_signs(shown, requester):
    page = shown(requester)
    assert not asks(page)
    assert "Round 1 waits for Dana Kim and Ravi Singh." in page


def test_whom_a_rule_names_is_named(shown, approval, project, requester, lead, second_lead):
    third = User.objects.create(username="samira", first_name="Samira", last_name="Third")
    Membership.objects.create(user=third, project=project, role=Role.LEAD)
    rules = [policies.Rule(name="Docs", signers=[second_lead])]
    for needed, told in {
        1: "Ravi Singh.",
        2: "2 of Dana Kim, Ravi Singh, Samira Third, one of them Ravi Singh.",
        3: "Dana Kim and Ravi Singh and Samira Third.",
    }.items():
        policies.change(project, by=lead, signatures_needed=needed, rules=rules)
        now = Approval.objects.filter(task=approval.task).latest("pk")
        now.move("withdrawn", reason="Sealed anew.", decided_at=timezone.now())
        sealing.seal(approval.proposal)
        assert f"Round 1 waits for {told}" in shown(requester)


def test_what_was_approved_is_undone_on_the_page_of_its_task(
    client, shown, approval, lead, second_lead, requester
):
    approve(approval, lead, second_lead)
    assert "Sign-off: <strong>Dana Kim and Ravi Singh</strong>" in shown(requester)
    assert 'id="undo-approval"' not in shown(requester)
    assert 'id="undo-approval"' in shown(lead)
    address = f"/review/{approval.task.label}/r1/undo"
    assert client.post(address, {"approval": str(approval.pk)}).status_code == 302
    approval.refresh_from_db()
    assert approval.state == "withdrawn"
    assert effects.carry_out_due("worker") == 0


def test_what_was_approved_is_undone_there_while_the_task_is_paused(
    client, shown, approval, lead, second_lead
):
    approve(approval, lead, second_lead)
    hold = holds.place(by=second_lead, task=approval.task, reason="Not on a Friday.")
    page = shown(lead)
    assert "Approved by Ravi Singh." in page
    assert "Carried out when the task is resumed. Paused by Ravi Singh," in page
    assert "Not on a Friday." in page
    assert 'id="undo-approval"' in page
    Effect.objects.update(state="doing")
    page = shown(lead)
    assert "nothing was sent, and it goes on when the task is resumed." in page
    assert 'id="undo-approval"' in page
    Effect.objects.update(sent_at=timezone.now())
    assert 'id="undo-approval"' not in shown(lead)
    holds.lift(hold, by=lead)
    assert "It is being carried out." in shown(lead)


@pytest.mark.parametrize("did", ["asked", "took_over"])
def test_any_lead_is_offered_the_undo_on_both_pages(  # who may not sign it, too
    client, shown, approval, project, requester, lead, second_lead, did
):
    approve(approval, lead, second_lead)
    if did == "asked":
        Membership.objects.filter(user=requester).update(role=Role.LEAD)
    else:
        took_over(approval.task, lead)
    address = f"/review/{approval.task.label}/r1"
    for person in (requester if did == "asked" else lead, second_lead):
        assert 'id="undo-approval"' in shown(person)
        assert f'action="{address}/undo"' in client.get(address).content.decode()
    person = User.objects.get(pk=second_lead.pk)
    Membership.objects.filter(user=person).update(role=Role.REQUESTER)
    assert 'id="undo-approval"' not in shown(person)
    assert f'action="{address}/undo"' not in client.get(address).content.decode()


@pytest.fixture
def leads(project):
    """Return what makes more tech leads."""

    def made(*names: str) -> list[User]:
        people = [
            User.objects.create(username=name.lower(), first_name=name, last_name="Lead")
            for name in names
        ]
        for person in people:
            Membership.objects.create(user=person, project=project, role=Role.LEAD)
        return people

    return made


def sealed_anew(approval, project, lead, needed: int) -> Approval:
    policies.change(project, by=lead, signatures_needed=needed)
    Approval.objects.get(pk=approval.pk).move(
        "withdrawn", reason="Sealed anew.", decided_at=timezone.now()
    )
    return sealing.seal(approval.proposal)


def test_who_signs_is_not_told_by_the_first_few_of_many(
    client, shown, approval, project, requester, lead, second_lead, leads
):
    others = leads("Ann", "Bob", "Cleo")
    page = shown(requester)
    assert "Round 1 waits for 2 tech leads." in page
    assert "Sign-off: <strong>2 tech leads</strong>" in page
    now = sealed_anew(approval, project, lead, needed=4)
    approve(now, lead)
    assert "Round 1 waits for 3 more tech leads." in shown(requester)
    approve(now, second_lead, others[0])
    assert "Round 1 waits for Bob Lead or Cleo Lead." in shown(requester)
    address = f"/review/{approval.task.label}/r1"
    assert "somebody else signs it: Bob Lead or Cleo Lead." in client.get(address).content.decode()


def test_where_too_few_may_sign_it_says_so(
    client, shown, approval, project, requester, lead, second_lead
):
    Membership.objects.filter(user=second_lead).update(role=Role.REQUESTER)
    told = "2 signatures; only Dana Kim may sign here"
    assert f"Round 1 waits for {told}." in shown(requester)
    address = f"/review/{approval.task.label}/r1"
    assert f"somebody else signs it: {told}." in client.get(address).content.decode()
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    assert "Round 1 waits for 2 signatures; nobody may sign here." in shown(requester)


def test_whose_signature_lapsed_or_who_did_a_part_is_none_it_waits_for(
    client, shown, approval, requester, lead, second_lead, leads
):
    (third,) = leads("Samira")
    approve(approval, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    told = "Ravi Singh and Samira Lead"
    assert f"Round 1 waits for {told}." in shown(requester)
    address = f"/review/{approval.task.label}/r1"
    assert f"somebody else signs it: {told}." in client.get(address).content.decode()
    took_over(approval.task, third)
    told = "2 signatures; only Ravi Singh may sign here"
    assert f"Round 1 waits for {told}." in shown(requester)
    assert f"somebody else signs it: {told}." in client.get(address).content.decode()


def test_where_a_right_came_back_it_waits_for_all_who_may_end_it(
    client, shown, approval, requester, lead, second_lead, leads
):
    approve(approval, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    approve(approval, second_lead)
    Membership.objects.filter(user=lead).update(role=Role.LEAD)
    assert asks(shown(lead))
    assert asks(shown(second_lead))
    address = f"/review/{approval.task.label}/r1"
    for told in ("Dana Kim or Ravi Singh", "Cleo Lead or Dana Kim or Ravi Singh", "a tech lead"):
        assert f"Round 1 waits for {told}." in shown(requester)
        assert f"somebody else signs it: {told}." in client.get(address).content.decode()
        leads("Cleo" if told == "Dana Kim or Ravi Singh" else f"Another{len(told)}")


def test_whose_signature_did_not_count_is_none_who_signed(
    shown, approval, requester, lead, second_lead, leads
):
    (third,) = leads("Samira")
    approve(approval, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    approve(approval, second_lead, third)
    assert "Sign-off: <strong>Ravi Singh and Samira Lead</strong>" in shown(requester)
    Effect.objects.update(state="done")
    Membership.objects.filter(user=second_lead).update(role=Role.REQUESTER)  # later on
    assert "Sign-off: <strong>Ravi Singh and Samira Lead</strong>" in shown(requester)


def test_of_two_of_one_name_who_signed_is_told_by_person(
    shown, approval, requester, lead, second_lead
):
    same = User.objects.create(username="dana2", first_name="Dana", last_name="Kim")
    Membership.objects.create(user=same, project=approval.project, role=Role.LEAD)
    approve(approval, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    approve(approval, same, second_lead)
    assert "Sign-off: <strong>Dana Kim and Ravi Singh</strong>" in shown(requester)
    Effect.objects.update(state="done")
    assert "Sign-off: <strong>Dana Kim and Ravi Singh</strong>" in shown(requester)


def test_whose_right_came_back_before_it_was_approved_again_has_signed_it(
    shown, approval, requester, lead, second_lead
):
    approve(approval, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    approve(approval, second_lead)
    Membership.objects.filter(user=lead).update(role=Role.LEAD)
    approve(approval, second_lead)
    Effect.objects.update(state="done")
    assert "Sign-off: <strong>Dana Kim and Ravi Singh</strong>" in shown(requester)


def test_what_was_told_by_name_alone_is_read_by_name(
    shown, approval, requester, lead, second_lead, leads
):
    (third,) = leads("Samira")
    approve(approval, lead)
    Membership.objects.filter(user=lead).update(role=Role.REQUESTER)
    approve(approval, second_lead, third)
    past_triggers("UPDATE agents_event SET data = data - 'lapsed_people'")
    Effect.objects.update(state="done")
    assert "Sign-off: <strong>Ravi Singh and Samira Lead</strong>" in shown(requester)
