"""Out of office: a delegate's signature counts for who is away, and the executor proves that it may."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from approvals import absences, effects, policies, presence, routing, sealing, signing
from approvals.exceptions import AlreadyDecided
from approvals.models import Absence, Approval, Delegation, Effect, Signature
from projects.exceptions import NotAllowed
from projects.models import AuditEntry, Membership, Project, Role, User
from tests.approval_fixtures import approve, make_report, past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def sam(project):
    user = User.objects.create(username="samira", first_name="Samira", last_name="Third")
    Membership.objects.create(user=user, project=project, role=Role.LEAD)
    return user


@pytest.fixture
def named(project, lead, second_lead):
    """Ravi must be among those who sign, and each effect is due at once."""
    rule = policies.Rule(name="Ravi looks", signers=[second_lead])
    return policies.change(project, by=lead, rules=[rule], undo_seconds=0)


@pytest.fixture
def approval(named, project, requester):
    return sealing.seal(make_report(project, requester))


def leave(person, *, to=None, project=None, begins=-DAY, days=7):
    now = timezone.now()
    chosen = {project.pk: to.pk} if to else {}
    return absences.leave(
        person, begins_at=now + begins, ends_at=now + days * DAY, delegates=chosen
    )


def sign(approval, by, verdict="approve", note=""):
    facts = {"digest": approval.digest, "nonce": approval.nonce, "note": note}
    return decide(approval.pk, by=by, verdict=verdict, **facts)


def state(approval):
    return Approval.objects.get(pk=approval.pk).state


def carried_out(effect):
    effects.carry_out_due("w")
    effect.refresh_from_db()
    return effect


def backdate(absence, **span):
    """Let it have been said, and have begun, so long ago, with a mark of the console."""
    moment = timezone.now() - timedelta(**span)
    past_triggers(
        "UPDATE approvals_absence SET at = %s, begins_at = %s WHERE id = %s",
        moment,
        moment,
        absence.pk,
    )
    for row in Delegation.objects.filter(absence=absence).select_related("absence"):
        signing.mark_delegation(row)
        past_triggers("UPDATE approvals_delegation SET mark = %s WHERE id = %s", row.mark, row.pk)


def test_a_delegate_signs_for_who_is_away_and_it_is_carried_out(
    approval, project, lead, second_lead
):
    leave(second_lead, to=lead, project=project)
    effect = approve(approval, lead)
    (stood,) = Signature.objects.get().on_behalf_of
    assert (stood["person"], stood["name"]) == (str(second_lead.pk), "Ravi Singh")
    assert carried_out(effect).state == "done"
    entry = AuditEntry.objects.get(action="approval.approve")
    assert entry.detail["on_behalf_of"] == [stood]


def test_without_a_delegation_somebody_named_is_still_missing(approval, lead, second_lead):
    leave(second_lead)
    sign(approval, lead)
    assert state(approval) == "pending"
    assert Signature.objects.get().on_behalf_of == []
    sign(approval, second_lead)  # who is away may sign all the same
    assert state(approval) == "approved"


def test_it_makes_no_signature_more(project, requester, lead, second_lead, sam):
    rule = policies.Rule(name="Ravi looks", signers=[second_lead])
    policies.change(project, by=lead, rules=[rule], signatures_needed=2)
    approval = sealing.seal(make_report(project, requester))
    leave(second_lead, to=lead, project=project)
    sign(approval, lead)
    assert state(approval) == "pending"
    with pytest.raises(AlreadyDecided):
        sign(approval, lead)
    sign(approval, sam)
    assert state(approval) == "approved"


def test_only_approving_is_done_for_somebody(approval, project, lead, second_lead):
    leave(second_lead, to=lead, project=project)
    sign(approval, lead, verdict="reject", note="No.")
    assert Signature.objects.get().on_behalf_of == []


def test_one_signature_stands_in_for_two(project, requester, lead, second_lead, sam):
    rules = [
        policies.Rule(name="Ravi looks", signers=[second_lead]),
        policies.Rule(name="Samira looks", signers=[sam]),
    ]
    policies.change(project, by=lead, rules=rules, undo_seconds=0)
    approval = sealing.seal(make_report(project, requester))
    leave(second_lead, to=lead, project=project)
    leave(sam, to=lead, project=project)
    effect = approve(approval, lead)
    assert len(Signature.objects.get().on_behalf_of) == 2
    assert carried_out(effect).state == "done"


def test_chains_are_not_followed_and_cycles_do_no_harm(approval, project, lead, second_lead, sam):
    leave(second_lead, to=sam, project=project)
    leave(sam, to=lead, project=project)
    sign(approval, lead)
    assert state(approval) == "pending"
    leave(lead, to=second_lead, project=project)
    assert routing.candidates(approval).count() == 2
    sign(approval, sam)  # Ravi's delegate, away as well
    assert state(approval) == "approved"


def test_it_ends_with_the_absence(approval, project, lead, second_lead):
    leave(second_lead, to=lead, project=project)
    assert absences.come_back(second_lead)
    assert not absences.come_back(second_lead)
    sign(approval, lead)
    assert state(approval) == "pending"


def test_it_does_not_count_before_it_begins(approval, project, lead, second_lead):
    leave(second_lead, to=lead, project=project, begins=DAY)
    assert presence.away(second_lead) is None
    sign(approval, lead)
    assert state(approval) == "pending"


def test_saying_it_anew_ends_what_was_said_before(approval, project, lead, second_lead, sam):
    leave(second_lead, to=lead, project=project)
    leave(second_lead, to=sam, project=project)
    assert Absence.objects.now().count() == 1
    sign(approval, lead)
    assert state(approval) == "pending"
    sign(approval, sam)
    assert state(approval) == "approved"


def test_the_requester_never_signs_not_even_for_somebody(project, lead, second_lead, sam):
    rule = policies.Rule(name="Ravi looks", signers=[second_lead])
    policies.change(project, by=lead, rules=[rule])
    approval = sealing.seal(make_report(project, lead))
    leave(second_lead, to=lead, project=project)
    with pytest.raises(NotAllowed, match="You asked for this work"):
        sign(approval, lead)


def test_nobody_passes_on_what_they_may_not_do(approval, project, lead, second_lead):
    leave(second_lead, to=lead, project=project)
    Membership.objects.filter(user=second_lead).update(role=Role.REQUESTER)
    sign(approval, lead)
    assert state(approval) == "pending"


def test_a_delegation_counts_in_its_project_alone(approval, project, lead, second_lead):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    for person in (lead, second_lead):
        Membership.objects.create(user=person, project=other, role=Role.LEAD)
    leave(second_lead, to=lead, project=other)
    sign(approval, lead)
    assert state(approval) == "pending"


def test_the_database_keeps_what_was_said(project, lead, second_lead):
    absence = leave(second_lead, to=lead, project=project)
    for change in (
        "UPDATE approvals_absence SET ends_at = ends_at + interval '1 day'",
        "UPDATE approvals_absence SET begins_at = begins_at + interval '1 day'",
        "DELETE FROM approvals_absence",
        "UPDATE approvals_delegation SET delegate_id = person_id",
        "DELETE FROM approvals_delegation",
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            connection.cursor().execute(change)
    absences.come_back(second_lead)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute("UPDATE approvals_absence SET ended_at = NULL")
    with pytest.raises(IntegrityError, match="nobody_stands_in"), transaction.atomic():
        Delegation.objects.create(
            absence=absence, project_id=project.pk, person=lead, delegate=lead, key="", mark=""
        )
    now = timezone.now()
    with pytest.raises(IntegrityError, match="absence_is_not_backdated"), transaction.atomic():
        Absence.objects.create(person=lead, begins_at=now - DAY, ends_at=now + DAY, at=now)


ATTACKS = {
    "ended before": "UPDATE approvals_absence SET ended_at = at",
    "ends before": "UPDATE approvals_absence SET ends_at = at + interval '1 ms'",
    "begins later": "UPDATE approvals_absence SET begins_at = now() + interval '1 h'",
    "said later": "UPDATE approvals_absence SET at = now() + interval '1 h', "
    "begins_at = now() + interval '1 h'",
    "another delegate": "UPDATE approvals_delegation SET delegate_id = %(third)s",
    "another person": "UPDATE approvals_delegation SET person_id = %(third)s",
    "an absence of another": "UPDATE approvals_absence SET person_id = %(third)s",
    "another project": "UPDATE approvals_delegation SET project_id = %(other)s",
    "no mark": "UPDATE approvals_delegation SET mark = ''",
    "gone": "DELETE FROM approvals_delegation",
    "for another": "UPDATE approvals_signature SET on_behalf_of = jsonb_set(on_behalf_of, "
    "'{0,person}', to_jsonb(%(third)s::text))",
    "for nobody": "UPDATE approvals_signature SET on_behalf_of = '[]'",
    "moved to": "UPDATE approvals_signature SET signer_id = %(third)s",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_changed_since_is_not_carried_out(
    approval, project, lead, second_lead, sam, attack
):
    other = Project.objects.create(slug="other", name="other", repository="/nowhere.git")
    leave(second_lead, to=lead, project=project)
    effect = approve(approval, lead)
    facts = {"third": sam.pk, "other": other.pk}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(ATTACKS[attack], facts)
        cursor.execute("SET session_replication_role = DEFAULT")
    assert carried_out(effect).state != "done"


def test_a_delegation_made_up_in_the_database_never_counts(approval, project, lead, second_lead):
    now = timezone.now()
    absence = Absence.objects.create(
        person=second_lead, begins_at=now - DAY, ends_at=now + DAY, at=now - DAY
    )
    Delegation.objects.create(
        absence=absence,
        project=project,
        person=second_lead,
        delegate=lead,
        key="0" * 16,
        mark="A" * 88,
    )
    sign(approval, lead)
    assert state(approval) == "pending"


@pytest.mark.django_db(transaction=True)
def test_a_delegation_that_was_ended_and_set_back_does_not_count(
    approval, project, lead, second_lead
):
    absence = leave(second_lead, to=lead, project=project)
    absences.come_back(second_lead)
    past_triggers("UPDATE approvals_absence SET ended_at = NULL WHERE id = %s", absence.pk)
    effect = approve(approval, lead)  # the console believes the row; the log knows better
    assert carried_out(effect).state != "done"


def test_one_that_ended_after_the_signature_still_counts(approval, project, lead, second_lead):
    absence = leave(second_lead, to=lead, project=project)
    backdate(absence, hours=1)
    effect = approve(approval, lead)
    past_triggers(
        "UPDATE approvals_absence SET ended_at = now() + interval '1 s' WHERE id = %s", absence.pk
    )
    assert carried_out(effect).state == "done"


def test_who_lost_the_role_meanwhile_is_stood_in_for_no_more(approval, project, lead, second_lead):
    leave(second_lead, to=lead, project=project)
    effect = approve(approval, lead)
    Membership.objects.filter(user=second_lead).update(role=Role.REQUESTER)
    assert carried_out(effect).state != "done"


@pytest.mark.django_db(transaction=True)
def test_coming_back_and_signing_at_once_leave_nothing_in_doubt(
    named, project, requester, lead, second_lead
):
    for _ in range(6):
        approval = sealing.seal(make_report(project, requester))
        leave(second_lead, to=lead, project=project)
        start, failed = Barrier(2), []

        def run(act, start=start, failed=failed):
            try:
                start.wait()
                act()
            except Exception as error:  # noqa: BLE001  # shown below
                failed.append(error)
            finally:
                connection.close()

        acts = (
            lambda: absences.come_back(second_lead),
            lambda: sign(approval, lead),  # noqa: B023  # run before the next
        )
        threads = [Thread(target=run, args=[act]) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert failed == []
        if state(approval) == "approved":
            assert carried_out(Effect.objects.get(approval=approval)).state == "done"
        else:
            assert Signature.objects.get(approval=approval).on_behalf_of == []
