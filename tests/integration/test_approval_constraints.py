"""The database repeats the law of approvals for SQL that goes round the Python."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from approvals import policies, sealing
from approvals.models import Approval, Effect, Signature
from projects.exceptions import TransitionRefused
from projects.models import AuditEntry, Membership
from tests.approval_fixtures import make_report
from tests.reviewing import decide

pytestmark = pytest.mark.django_db

_COLUMNS = (
    "id, single_person, state, risk, snapshot, digest, nonce, requested_at, expires_at, decided_at,"
    " reason, decided_by_id, project_id, proposal_id, requester_id, task_id, policy_id, replaced,"
    " main_moved, follows_id"
)


def _copy(**others: str) -> str:
    """Return the statement that copies the approval with some values of its own."""
    others["id"] = "gen_random_uuid()"
    values = ", ".join(others.get(name, name) for name in _COLUMNS.split(", "))
    copied = f"SELECT {values} FROM approvals_approval"  # noqa: S608 - of our own words
    return f"INSERT INTO approvals_approval ({_COLUMNS}) {copied}"


@pytest.fixture
def approval(project, requester, lead, second_lead) -> Approval:
    return sealing.seal(make_report(project, requester))


@pytest.fixture
def approved(approval, lead) -> Approval:
    decide(approval.pk, by=lead, verdict="approve", digest=approval.digest, nonce=approval.nonce)
    approval.refresh_from_db()
    return approval


def _refused(statement: str, *arguments: object, by: str) -> None:
    with (
        pytest.raises(IntegrityError, match=by),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, arguments)


def test_the_requester_never_decides(approval, requester):
    _refused(
        "UPDATE approvals_approval SET state = 'approved', decided_at = now(), decided_by_id = %s",
        requester.pk,
        by="requester_never_decides",
    )


def test_the_requester_never_signs(approved, requester):
    _refused(
        "INSERT INTO approvals_signature (id, approval_id, signer_id, requester_id, single_person,"
        " verdict, digest, nonce, note) VALUES (gen_random_uuid(), %s, %s, %s, false, 'approve',"
        " 'd', 'n', '')",
        approved.pk,
        requester.pk,
        requester.pk,
        by="requester_never_signs",
    )


def test_one_person_signs_once(approved, lead, requester):
    _refused(
        "INSERT INTO approvals_signature (id, approval_id, signer_id, requester_id, single_person,"
        " verdict, digest, nonce, note) VALUES (gen_random_uuid(), %s, %s, %s, false, 'approve',"
        " 'd', 'n', '')",
        approved.pk,
        lead.pk,
        requester.pk,
        by="one_approving_signature_per_person",
    )


def test_one_signature_ends_it(approved, lead, second_lead, requester):
    ends = (
        "INSERT INTO approvals_signature (id, approval_id, signer_id, requester_id, single_person,"
        " verdict, digest, nonce, note) VALUES (gen_random_uuid(), %s, %s, %s, false, %s,"
        " 'd', 'n', '')"
    )
    with connection.cursor() as cursor:
        cursor.execute(ends, [approved.pk, lead.pk, requester.pk, "reject"])
    for person, verdict in ((lead, "request_changes"), (second_lead, "reject")):
        _refused(ends, approved.pk, person.pk, requester.pk, verdict, by="one_signature_ends_it")


@pytest.mark.parametrize("state", ["approved", "changes_requested", "rejected"])
def test_a_decision_has_a_person(approval, state):
    _refused(
        "UPDATE approvals_approval SET state = %s, decided_at = now()",
        state,
        by="decision_has_a_person",
    )


def test_a_state_that_does_not_exist_is_refused(approved):
    _refused("UPDATE approvals_approval SET state = 'maybe'", by="approval_state_known")
    _refused("UPDATE approvals_effect SET state = 'maybe'", by="effect_state_known")


def test_nothing_is_withdrawn_that_was_sent(approved):
    withdraws = "UPDATE approvals_effect SET state = 'withdrawn', sent_at = "
    _refused(f"{withdraws} now()", by="effect_withdrawn_unsent")
    with connection.cursor() as cursor:
        cursor.execute(f"{withdraws} NULL")


def test_a_decision_has_its_time_and_what_waits_has_none(approval, lead):
    _refused("UPDATE approvals_approval SET decided_at = now()", by="approval_decided_at_iff_over")
    _refused("UPDATE approvals_approval SET state = 'expired'", by="approval_decided_at_iff_over")


def test_a_task_has_one_pending_approval(approval):
    with pytest.raises(TransitionRefused, match="waits for a signature already"):
        sealing.seal(approval.proposal)
    another = _copy(state="'pending'", nonce="'another'", decided_at="NULL", decided_by_id="NULL")
    _refused(another, by="one_pending_approval_per_task")


def test_a_nonce_is_used_once(approval):
    _refused(_copy(state="'expired'", decided_at="now()"), by="nonce")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_approval SET snapshot = jsonb_set(snapshot, '{round}', '9')",
        "UPDATE approvals_approval SET digest = repeat('0', 64)",
        "UPDATE approvals_approval SET nonce = 'another'",
        "UPDATE approvals_approval SET single_person = true",
        "UPDATE approvals_approval SET expires_at = expires_at + interval '1 day'",
        "UPDATE approvals_approval SET risk = 'high'",
        "UPDATE approvals_approval SET policy_id = gen_random_uuid()",
        "UPDATE approvals_approval SET task_id = gen_random_uuid()",
        "UPDATE approvals_approval SET project_id = gen_random_uuid()",
        "DELETE FROM approvals_approval",
        "UPDATE approvals_approval SET requester_id = (SELECT id FROM projects_user WHERE username = 'dana')",
    ],
)
def test_what_is_sealed_stays_as_it_was_sealed(approval, statement):
    _refused(statement, by="append-only")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_signature SET verdict = 'reject'",
        "UPDATE approvals_signature SET note = 'x'",
        "DELETE FROM approvals_signature",
    ],
)
def test_a_signature_is_never_changed_or_removed(approved, statement):
    _refused(statement, by="append-only")
    assert Signature.objects.get().verdict == "approve"


def test_an_effect_stands_once_at_its_position(approved):
    effect = Effect.objects.get()
    with pytest.raises(IntegrityError, match="one_effect_per_position"), transaction.atomic():
        Effect.objects.create(
            approval=approved,
            position=0,
            kind=effect.kind,
            arguments=effect.arguments,
            not_before=Now(),
        )


def test_a_project_has_one_active_policy_and_one_row_per_version(project, lead):
    policies.active_policy(project)
    policies.change(project, by=lead, undo_seconds=30)
    assert list(project.policies.values_list("version", "active")) == [(2, True), (1, False)]
    _refused("UPDATE approvals_policy SET active = true", by="one_active_policy_per_project")
    _refused("UPDATE approvals_policy SET version = 1", by="one_policy_per_version")


def test_a_policy_stays_within_its_bounds(project):
    policies.active_policy(project)
    _refused("UPDATE approvals_policy SET undo_seconds = 301", by="undo_window_up_to_300_s")
    _refused(
        "UPDATE approvals_policy SET call_undo_seconds = 301", by="call_undo_window_up_to_300_s"
    )
    _refused("UPDATE approvals_policy SET call_at_expiry = 'allow'", by="call_at_expiry_known")
    for number in (0, 6):
        _refused(
            "UPDATE approvals_policy SET signatures_needed = %s", number, by="1_to_5_signatures"
        )


def test_a_changed_policy_does_not_touch_what_was_sealed_under_the_old_one(
    approval, project, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=2, undo_seconds=60)
    decide(approval.pk, by=lead, verdict="approve", digest=approval.digest, nonce=approval.nonce)
    approval.refresh_from_db()
    assert approval.state == "approved"
    assert approval.snapshot["policy"]["version"] == 1
    waited = Effect.objects.get().not_before - approval.decided_at
    assert waited.total_seconds() == 10


def test_a_change_of_policy_is_audited(project, lead):
    policies.change(project, by=lead, signatures_needed=2)
    entry = AuditEntry.objects.get(action="policy.changed")
    assert (entry.actor, entry.detail) == (lead, {"version": 2, "signatures_needed": 2})


def test_membership_alone_is_what_makes_a_lead(approval, admin):
    assert not Membership.objects.filter(user=admin).exists()
    assert not Approval.objects.visible_to(admin).exists()
