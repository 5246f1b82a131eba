"""A signature carries a mark only the console can make, and the executor believes no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from agents import escalations
from agents.models import Escalation
from approvals import effects, policies, sealing, signing
from approvals.exceptions import CannotSign
from approvals.models import Signature
from projects import signing_keys
from projects.models import Membership, User
from tests.approval_fixtures import approve, first_parents, git, make_change, past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db
ANOTHER = "another key, of somebody else's console"


def refused(effect, bare) -> bool:
    effects.carry_out_due("worker-1")
    effect.refresh_from_db()
    unmarked = "does not carry the mark of a key of this console" in effect.error
    return unmarked and effect.state == "failed" and len(first_parents(bare)) == 1


def test_a_decision_is_marked_with_the_key_of_the_console(approval, lead, settings):
    approve(approval, lead)
    stored = Signature.objects.get()
    (public,) = settings.SIGNING_PUBLIC_KEYS
    assert stored.key == signing_keys.name_of(public)
    assert signing.is_genuine(stored)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("mark", ""),
        ("address", "192.0.2.1"),
        ("mark", "AAAA"),
        ("mark", "not base64!"),
        ("note", "I never said so."),
        ("single_person", True),
        ("every_file_viewed", False),
    ],
)
def test_a_row_that_was_changed_carries_no_mark_and_nothing_is_done(approved, bare, change, value):
    past_triggers(f"UPDATE approvals_signature SET {change} = %s", value)  # noqa: S608
    assert refused(approved, bare)


def test_a_mark_covers_all_a_signature_says(approval, lead):
    approve(approval, lead)
    changed = {
        "id": approval.pk,
        "approval_id": lead.pk,
        "signer_id": approval.pk,
        "requester_id": approval.pk,
        "single_person": True,
        "verdict": "reject",
        "digest": "0" * 64,
        "nonce": "another",
        "note": "I never said so.",
        "address": "192.0.2.1",
        "at": timezone.now() - timedelta(days=1),
        "key": "0123456789abcdef",
        "every_file_viewed": False,
        "on_behalf_of": [{"delegation": "", "person": "", "name": "Ravi"}],
        "carried_from_id": approval.pk,
    }
    assert {*changed, "mark"} == {field.attname for field in Signature._meta.concrete_fields}
    for name, value in changed.items():
        forged = Signature.objects.get()
        assert signing.is_genuine(forged)
        setattr(forged, name, value)
        assert not signing.is_genuine(forged), name


def test_a_worker_that_does_not_know_the_key_asks_and_keeps_what_was_signed(
    approval, bare, lead, settings
):
    settings.SIGNING_KEY, known = ANOTHER, settings.SIGNING_KEY
    effect = approve(approval, lead)
    settings.SIGNING_KEY = known
    effects.carry_out_due("worker-1")
    effect.refresh_from_db()
    approval.refresh_from_db()
    assert (effect.state, approval.state, len(first_parents(bare))) == ("failed", "approved", 1)
    assert "does not know the key" in effect.error
    public = signing_keys.public_half(ANOTHER)
    settings.SIGNING_PUBLIC_KEYS = [*settings.SIGNING_PUBLIC_KEYS, public]
    escalations.resolve(Escalation.objects.get(), choice="retry_with_note", by=lead)
    effects.carry_out_due("worker-1")
    effect.refresh_from_db()
    assert effect.state == "done"


@pytest.mark.parametrize("key", ["", "too short"])
def test_a_process_without_a_key_signs_nothing(approval, lead, settings, key):
    settings.SIGNING_KEY = key
    with pytest.raises(CannotSign):
        approve(approval, lead)
    approval.refresh_from_db()
    assert (approval.state, Signature.objects.count()) == ("pending", 0)


def test_the_same_secret_is_the_same_key_and_no_other():
    first, second = signing_keys.public_half("x" * 32), signing_keys.public_half("y" * 32)
    assert first == signing_keys.public_half("x" * 32) != second
    mark = signing_keys.sign("x" * 32, b"said")
    assert signing_keys.is_genuine(first, mark, b"said")
    assert not signing_keys.is_genuine(first, mark, b"said otherwise")
    assert not signing_keys.is_genuine(second, mark, b"said")
    assert not signing_keys.is_genuine("no key", mark, b"said")


def approved_by(bare) -> list[str]:
    said = git(bare, "log", "-1", "--format=%(trailers:key=Approved-by,valueonly)", "main")
    return [line for line in said.splitlines() if line]


def test_history_names_nobody_who_may_not_sign_and_whose_row_somebody_wrote(approved, bare):
    sealed = approved.approval
    chief = User.objects.create_user("chief", first_name="Chief", last_name="Officer")
    Signature.objects.create(
        approval=sealed,
        signer=chief,
        requester=sealed.requester,
        verdict="approve",
        digest=sealed.digest,
        nonce=sealed.nonce,
        key="nobody",
        mark="forged",
    )
    effects.carry_out_due("worker-1")
    assert approved_by(bare) == ["Dana Kim <dana>"]


def test_history_names_only_those_whose_signatures_counted(
    project, requester, lead, second_lead, bare, tmp_path
):
    third = User.objects.create_user("third", first_name="Third", last_name="Lead")
    Membership.objects.create(user=third, project=project, role="lead")
    policies.change(project, by=lead, signatures_needed=2, undo_seconds=0)
    sealed = sealing.seal(make_change(project, requester, tmp_path))
    decide(sealed.pk, by=third, verdict="approve", digest=sealed.digest, nonce=sealed.nonce)
    User.objects.filter(pk=third.pk).update(is_active=False)
    for person in (lead, second_lead):
        decide(sealed.pk, by=person, verdict="approve", digest=sealed.digest, nonce=sealed.nonce)
    effects.carry_out_due("worker-1")
    assert approved_by(bare) == [
        f"{each.display_name} <{each.username}>" for each in (lead, second_lead)
    ]
