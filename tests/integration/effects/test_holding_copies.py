"""What somebody with the database tries on the copy of a signature: nothing lands by it.

Attacks on what it is carried to stand in test_holding_attacks.py.
"""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest

from approvals import sealing
from approvals.models import Effect, Signature
from tests import forging_fixtures
from tests.approval_fixtures import approve, make_change, past_triggers
from tests.forging_fixtures import Scene, copy, held, nothing_lands
from tests.holding_fixtures import effect_of

scene = forging_fixtures.scene
pytestmark = pytest.mark.django_db


def test_a_signature_moved_to_another_project_counts_nothing(scene):
    again = held(scene)
    past_triggers(
        "UPDATE approvals_signature SET requester_id = %s WHERE approval_id = %s",
        *(scene.second.pk, again.pk),
    )
    nothing_lands(scene, "and the one it copies differ")


# What is done to the copied signature alone.
COPIES = {
    "signer: somebody else": lambda s: ("signer_id", s.second.pk),
    "mark: none": lambda s: ("mark", ""),
    "mark: of another signature": lambda s: ("mark", other_mark(s)),
    "note: another": lambda s: ("note", "I looked at it again."),
    "time: later": lambda s: ("at", s.root.decided_at + timedelta(days=1)),
    "original: none": lambda s: ("carried_from_id", None),
    "original: another signature": lambda s: ("carried_from_id", other_signature(s).pk),
    "on behalf: of somebody": lambda s: (
        "on_behalf_of",
        json.dumps([{"delegation": str(uuid.uuid4()), "person": str(s.second.pk), "name": "R"}]),
    ),
}


def other_signature(scene: Scene) -> Signature:
    """Return a genuine signature of the same person of something else."""
    other = sealing.seal(make_change(scene.project, scene.requester, scene.folder))
    approve(other, scene.lead)
    Effect.objects.filter(approval=other).delete()
    return other.signatures.get()


def other_mark(scene: Scene) -> str:
    return other_signature(scene).mark


@pytest.mark.parametrize("attack", COPIES)
def test_a_copy_that_says_something_else_counts_nothing(scene, attack):
    again = held(scene)
    column, value = COPIES[attack](scene)
    past_triggers(
        f"UPDATE approvals_signature SET {column} = %s WHERE approval_id = %s",  # noqa: S608
        *(value, again.pk),
    )
    nothing_lands(scene, "")
    assert effect_of(again).state == "failed"


def test_the_original_altered_with_its_copy_counts_nothing(scene):
    held(scene)
    past_triggers("UPDATE approvals_signature SET note = 'Other.'")
    nothing_lands(scene, "does not carry the mark")


def test_a_signature_by_hand_beside_the_copy_counts_nothing(scene):
    again = held(scene)
    copy(
        again.signatures.get(),
        *(again.pk, again.digest, again.nonce),
        signer_id=scene.second.pk,
        carried_from_id=None,
    )
    nothing_lands(scene, "does not carry the mark")
