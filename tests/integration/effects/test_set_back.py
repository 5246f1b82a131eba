"""What a person ended stays ended: set back to waiting by hand and signed by somebody else, with a mark
that is genuine, it does not land. Other attacks stand in test_attacks.py.
"""

from __future__ import annotations

import pytest

from approvals import editing, effects, sealing
from tests.approval_fixtures import approve, first_parents, make_change, past_triggers
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def approval(project, requester, lead, second_lead, bare, tmp_path):
    return sealing.seal(make_change(project, requester, tmp_path))


def decided(approval, lead, verdict):
    seen = {"digest": approval.digest, "nonce": approval.nonce, "note": "Not so."}
    decide(approval.pk, by=lead, verdict=verdict, **seen)


def edited(approval, lead):
    path = approval.snapshot["files"][0]["path"]
    editing.edit(approval, by=lead, path=path, text="Other.\n", digest=approval.digest)


def set_back(approval):
    past_triggers(
        "UPDATE approvals_approval SET state = 'pending', decided_at = NULL, decided_by_id = NULL, "
        "reason = '' WHERE id = %s",
        approval.pk,
    )
    past_triggers(
        "UPDATE agents_task SET state = 'review', finished_at = NULL WHERE id = %s",
        approval.task_id,
    )
    approval.refresh_from_db()


ENDED = {
    "approval.reject": lambda approval, lead: decided(approval, lead, "reject"),
    "approval.request_changes": lambda approval, lead: decided(approval, lead, "request_changes"),
    "approval.edited": edited,
}


@pytest.mark.parametrize("end", ENDED)
def test_what_was_ended_does_not_land_by_another_signature(approval, lead, second_lead, bare, end):
    ENDED[end](approval, lead)
    set_back(approval)
    effect = approve(approval, second_lead)
    effects.carry_out_due("worker")
    assert len(first_parents(bare)) == 1
    effect.refresh_from_db()
    assert effect.state == "failed"
    assert f"The audit log says {end} of this" in effect.error
