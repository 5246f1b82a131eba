"""What somebody with the database tries so that a signature counts for what it was not given to.

Nothing that was not signed is carried out, and nothing twice. Attacks on the copies themselves stand in
test_holding_copies.py, those on what was signed in test_attacks.py.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from approvals import effects, origins, policies, sealing, undoing
from approvals.models import Approval, Effect, Signature
from countersign import invariants
from projects.ids import uuid7
from projects.models import Membership
from tests import forging_fixtures
from tests.approval_fixtures import (
    EDITS,
    GREEN,
    approve,
    git,
    make_change,
    move_main,
    past_triggers,
)
from tests.forging_fixtures import Scene, forge, held, nothing_lands, rewrite, sealed_as
from tests.holding_fixtures import effect_of, fall_stale, merge_again

scene = forging_fixtures.scene
pytestmark = pytest.mark.django_db


# Another change, sealed on the main of now and forged to follow the one that was signed.
ANOTHER = {
    "blob: other bytes in a file": (
        {"texts": {**EDITS, "docs/rounding.md": "Tax is not paid.\n"}},
        "new_blob of docs/rounding.md",
    ),
    "files: one more": ({"texts": {**EDITS, "evil.py": "x = 1\n"}}, "the list of files of evil.py"),
    "files: one less": ({"texts": {"docs/rounding.md": EDITS["docs/rounding.md"]}}, "the list of"),
    "checks: red": ({"checks": {**GREEN, "exit_code": 1, "failed": 1}}, "checks of what"),
    "checks: another command": ({"checks": {**GREEN, "command": "true"}}, "checks of what"),
    "checks: none": ({"checks": {}}, "checks of what"),
    "risk: a warning more": (
        {"warnings": [{"kind": "secret", "path": "README.md", "line": 1}]},
        "risk of what",
    ),
    "words: another title": ({"title": "Pay somebody else"}, "proposal of what"),
}


@pytest.mark.parametrize("attack", ANOTHER)
def test_another_change_is_not_carried_out_by_a_signature_of_this_one(scene, attack):
    facts, said = ANOTHER[attack]
    fall_stale(scene.root, scene.bare)
    again = merge_again(scene.root, scene.folder, **facts)
    assert again.state == "pending"
    forge(scene.root, again)
    nothing_lands(scene, said)


def test_what_was_signed_is_not_rewritten_under_its_signature(scene):
    fall_stale(scene.root, scene.bare)
    again = merge_again(
        scene.root, scene.folder, texts={**EDITS, "docs/rounding.md": "Tax is not paid.\n"}
    )
    rewrite(scene.root, again)
    forge(scene.root, again)
    nothing_lands(scene, "and what it was given to differ")
    found = {each.check.name for each in invariants.verify() if not each.holds}
    assert "signature-copied" in found


def test_the_database_copies_no_signature_of_what_was_rewritten_under_it(scene):
    fall_stale(scene.root, scene.bare)
    again = merge_again(
        scene.root, scene.folder, texts={**EDITS, "docs/rounding.md": "Tax is not paid.\n"}
    )
    rewrite(scene.root, again)
    past_triggers(
        "UPDATE approvals_approval SET follows_id = %s WHERE id = %s", scene.root.pk, again.pk
    )
    asked = [uuid7(), scene.root.signatures.get().pk, again.pk]
    with pytest.raises(IntegrityError, match="no such signature"), transaction.atomic():
        connection.cursor().execute("SELECT carry_signature(%s, %s, %s)", asked)
    nothing_of(again)


def test_another_mode_is_another_change(scene):
    fall_stale(scene.root, scene.bare)
    again = merge_again(scene.root, scene.folder)
    sealed_as(again, "files.0.new_mode", "100755")
    nothing_lands(scene, "new_mode of billing/invoice.py")


def test_a_change_of_a_file_main_changed_too_is_asked_anew(scene):
    text = "Tax is rounded half up.\n\nAlways.\n"
    fall_stale(scene.root, scene.bare, path="docs/rounding.md", text=text)
    forge(scene.root, merge_again(scene.root, scene.folder))
    nothing_lands(scene, "old_blob of docs/rounding.md")


def without_consent(scene: Scene) -> Approval:
    policies.change(scene.project, by=scene.lead, signatures_hold=False)
    root = sealing.seal(make_change(scene.project, scene.requester, scene.folder))
    approve(root, scene.lead)
    root.refresh_from_db()
    Effect.objects.exclude(approval=root).delete()
    fall_stale(root, scene.bare)
    return root


def test_without_consent_no_signature_holds(scene):
    root = without_consent(scene)
    forge(root, merge_again(root, scene.folder))
    nothing_lands(scene, "the policy's consent of what was signed")


def test_consent_written_into_the_seal_later_is_none(scene):
    root = without_consent(scene)
    again = merge_again(root, scene.folder)
    for each in (root, again):
        sealed_as(each, "policy.signatures_hold", value=True)
    root.refresh_from_db()
    forge(root, again)
    nothing_lands(scene, "does not carry the mark")


def test_consent_written_into_the_seal_alone_is_drift(scene):
    root = without_consent(scene)
    again = merge_again(root, scene.folder)
    past_triggers(
        "UPDATE approvals_approval SET snapshot = "
        "jsonb_set(snapshot, '{policy,signatures_hold}', 'true') WHERE id = %s",
        root.pk,
    )
    sealed_as(again, "policy.signatures_hold", value=True)
    forge(root, again)
    nothing_lands(scene, "the sealed snapshot and its digest")


def set_back(root: Approval) -> None:
    """Write by hand that it fell stale undone."""
    past_triggers(
        "UPDATE approvals_approval SET state = 'stale', main_moved = true WHERE id = %s", root.pk
    )
    past_triggers(
        "UPDATE approvals_effect SET state = 'failed', result = '{}' WHERE approval_id = %s",
        root.pk,
    )
    past_triggers(
        "UPDATE agents_task SET state = 'review', finished_at = NULL WHERE id = %s", root.task_id
    )
    root.refresh_from_db()


def test_what_was_undone_holds_nothing(scene):
    Effect.objects.update(not_before=F("not_before") + timedelta(hours=1))
    again = undoing.undo(scene.root, by=scene.second)
    past_triggers("DELETE FROM approvals_listed WHERE approval_id = %s", again.pk)
    past_triggers("DELETE FROM approvals_reminder WHERE approval_id = %s", again.pk)
    past_triggers("DELETE FROM approvals_approval WHERE id = %s", again.pk)
    set_back(scene.root)
    move_main(scene.bare)
    follower = merge_again(scene.root, scene.folder)
    assert (follower.state, follower.follows) == ("approved", scene.root)  # the rows say so
    Effect.objects.update(not_before=F("not_before") - timedelta(hours=2))
    nothing_lands(scene, "The audit log says approval.undone of this")


def landed(scene: Scene) -> None:
    """Carry it out as it was signed; then somebody takes it from main with git."""
    assert effects.carry_out_due("worker") == 1
    work = scene.folder / "theirs"
    git(scene.folder, "clone", "-q", str(scene.bare), str(work))
    git(work, "revert", "--no-edit", "-m", "1", "HEAD")
    git(work, "push", "-q", "origin", "main")
    set_back(scene.root)


def test_what_was_done_is_not_done_again(scene):
    landed(scene)
    follower = merge_again(scene.root, scene.folder)
    assert follower.state == "approved"  # the rows say so
    nothing_lands(scene, "The audit log says effect.done of this")


def test_what_is_on_main_already_does_not_land_again_though_its_effect_is_gone(scene):
    landed(scene)
    follower = merge_again(scene.root, scene.folder)
    past_triggers("DELETE FROM approvals_effect WHERE approval_id = %s", scene.root.pk)
    assert effect_of(follower).state == "planned"
    nothing_lands(scene, "what landed before and what is to land differ")


def test_a_root_at_work_holds_nothing(scene):
    held(scene)
    past_triggers(
        "UPDATE approvals_effect SET state = 'unknown' WHERE approval_id = %s", scene.root.pk
    )
    nothing_lands(scene, "an effect of what it follows differ")


def test_a_root_that_ended_otherwise_holds_nothing(scene):
    held(scene)
    past_triggers("UPDATE approvals_approval SET main_moved = false WHERE id = %s", scene.root.pk)
    nothing_lands(scene, "the state of what it follows differ")


def test_nothing_has_two_followers(scene):
    again = held(scene)
    other = sealing.seal(make_change(scene.project, scene.requester, scene.folder))
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=other.pk).update(follows=scene.root)
    given = again.signatures.get().carried_from
    with pytest.raises(IntegrityError), transaction.atomic():
        Signature.objects.create(
            **{name: getattr(given, name) for name in origins.COPIED},
            approval=other,
            digest=other.digest,
            nonce=other.nonce,
            carried_from=given,
        )
    # Not even past the triggers.
    with pytest.raises(IntegrityError, match="follows_id"), transaction.atomic():
        past_triggers(
            "UPDATE approvals_approval SET follows_id = %s WHERE id = %s",
            *(scene.root.pk, other.pk),
        )
    with pytest.raises(IntegrityError, match="carried_from_id"), transaction.atomic():
        forging_fixtures.copy(given, other.pk, other.digest, other.nonce)
    nothing_of(other)


def nothing_of(approval: Approval) -> None:
    assert not approval.signatures.exists()
    assert not approval.effects.exists()


def of_another(scene: Scene, **facts: object) -> Approval:
    """Seal something else on the main of now and forge it to follow what was signed."""
    fall_stale(scene.root, scene.bare)
    given = {"project": scene.project, "requester": scene.requester, **facts}
    other = sealing.seal(
        make_change(given.pop("project"), given.pop("requester"), scene.folder, **given)
    )
    forge(scene.root, other)
    return other


def test_the_same_change_of_another_task_is_another(scene):
    of_another(scene)
    nothing_lands(scene, "differ")


def test_the_same_change_somebody_else_asked_for_is_another(scene):
    of_another(scene, requester=scene.second)
    nothing_lands(scene, "differ")


def test_who_may_not_sign_any_more_signed_nothing(scene):
    held(scene)
    Membership.objects.filter(user=scene.lead).update(role="requester")
    nothing_lands(scene, "may no longer sign")


def test_a_signature_is_not_carried_past_the_time_it_was_given_in(scene):
    again = held(scene)
    past_triggers(
        "UPDATE approvals_approval SET requested_at = now() + interval '1 year' WHERE id = %s",
        again.pk,
    )
    nothing_lands(scene, "the time for which the signature of Dana Kim holds")


def test_a_chain_that_is_too_long_counts_nothing(scene, monkeypatch):
    last = held(scene)
    for number in range(2):
        fall_stale(last, scene.bare, text=f"{number}\n")
        last = merge_again(last, scene.folder)
    monkeypatch.setattr(origins, "MOST", 2)
    nothing_lands(scene, "more than 2 approvals it follows")


def test_nobody_makes_a_chain_that_is_too_long(scene, monkeypatch):
    monkeypatch.setattr(origins, "MOST", 1)
    again = held(scene)
    fall_stale(again, scene.bare, text="x\n")
    third = merge_again(again, scene.folder)
    assert (third.state, third.follows) == ("pending", None)
    assert third.snapshot["asked_again"] == {"name": "times", "path": ""}


def test_a_chain_that_goes_round_ends(scene):
    again = held(scene)
    past_triggers(
        "UPDATE approvals_approval SET follows_id = %s WHERE id = %s", again.pk, scene.root.pk
    )
    nothing_lands(scene, "what it follows differ")


def test_commits_nobody_signed_do_not_come_in_behind_the_tree(scene):
    again = held(scene)
    effects.carry_out_due("worker")
    assert effect_of(again).state == "done"
    signed, made = scene.root.snapshot["effects"][0], again.snapshot["effects"][0]
    merged = git(scene.bare, "log", "-1", "--format=%P %T", "main").split()
    assert merged == [made["base"], signed["head"], made["tree"]]
    assert made["head"] not in git(scene.bare, "rev-list", "main").split()


def test_a_digest_that_was_never_signed_is_not_shown_as_one(scene):
    again = held(scene)
    sealed_as(again, f"follows.signed_for.{scene.lead.pk}", "0" * 64)
    nothing_lands(scene, "and the one it copies differ")


def test_an_approval_that_does_not_say_what_it_follows_follows_nothing(scene):
    again = held(scene)
    past_triggers("UPDATE approvals_approval SET follows_id = NULL WHERE id = %s", again.pk)
    nothing_lands(scene, "what it follows differ")
