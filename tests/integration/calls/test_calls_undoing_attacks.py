"""Whoever writes rows by hand shortens no undo window, and has nothing called that was undone."""

from __future__ import annotations

import json

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError

from approvals import invariants, policies
from approvals.calls import carrying
from approvals.calls.undoing import undo
from approvals.models import CallApproval
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import decided, waiting_call

pytestmark = pytest.mark.django_db

CHECK = next(check for check in invariants.CHECKS if check.name == "call-undone")


@pytest.fixture
def allowed(tool, project, requester, lead) -> CallApproval:
    policies.change(project, by=lead, call_undo_seconds=300)
    return decided(waiting_call(project, requester), lead)


def now(row: CallApproval) -> CallApproval:
    return CallApproval.objects.select_related("call").get(pk=row.pk)


@pytest.mark.parametrize(
    ("statement", "by"),
    [
        ("UPDATE approvals_callapproval SET state = 'calling'", "undo window"),
        ("UPDATE approvals_callapproval SET decided_at = now() - interval '1 day'", "append-only"),
        ("UPDATE approvals_policy SET call_undo_seconds = 301 WHERE active", "call_undo_window"),
        (
            "UPDATE approvals_callapproval SET snapshot = jsonb_set(snapshot, '{policy}', '{}')",
            "append-only",
        ),
    ],
)
def test_the_database_itself_refuses(allowed, statement, by):
    with (
        pytest.raises(DatabaseError, match=by),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def _earlier(row: CallApproval) -> None:
    past_triggers(
        "UPDATE approvals_callapproval SET decided_at = decided_at - interval '1 day' WHERE id = %s",
        row.pk,
    )


def _begun(row: CallApproval) -> None:
    past_triggers("UPDATE approvals_callapproval SET state = 'calling' WHERE id = %s", row.pk)


def _shorter(row: CallApproval) -> None:
    policy = {**row.snapshot["policy"], "undo_seconds": 0}
    past_triggers(
        "UPDATE approvals_callapproval SET snapshot = %s WHERE id = %s",
        json.dumps({**row.snapshot, "policy": policy}),
        row.pk,
    )


def _signed_earlier(row: CallApproval) -> None:
    _earlier(row)
    past_triggers("UPDATE approvals_callsignature SET at = at - interval '1 day'")


@pytest.mark.parametrize("attack", [_earlier, _begun, _shorter, _signed_earlier])
def test_a_window_shortened_in_the_row_has_nothing_called(allowed, server, attack):
    attack(allowed)
    assert carrying.make_due("effects") == 1
    row = now(allowed)
    assert (row.state, row.call.state) == ("failed", "failed")
    assert server.requests == 0


def test_a_permission_that_was_undone_cannot_stand_beside_the_new_request(allowed, lead):
    undo(allowed.pk, by=lead)
    with pytest.raises(IntegrityError, match="one_seal_per_call"), transaction.atomic():
        past_triggers(
            "UPDATE approvals_callapproval SET state = 'allowed' WHERE id = %s", allowed.pk
        )


def test_a_permission_that_was_undone_is_not_set_back_into_force(allowed, server, lead):
    again = undo(allowed.pk, by=lead)
    past_triggers("DELETE FROM approvals_callreminder")
    past_triggers("DELETE FROM approvals_callapproval WHERE id = %s", again.pk)
    past_triggers("UPDATE agents_toolcall SET state = 'waiting' WHERE id = %s", allowed.call_id)
    past_triggers("UPDATE approvals_callapproval SET state = 'calling' WHERE id = %s", allowed.pk)
    assert [offence.pk for offence in CHECK.find().shown] == [str(allowed.pk)]
    carrying.make_due("effects")
    assert "audit log says call.undone" in now(allowed).reason
    assert server.requests == 0


def test_an_old_signature_does_not_count_for_what_is_asked_again(allowed, server, lead):
    again = undo(allowed.pk, by=lead)
    past_triggers("UPDATE agents_toolcall SET state = 'waiting' WHERE id = %s", again.call_id)
    past_triggers(
        "UPDATE approvals_callapproval SET state = 'calling', decided_by_id = %s,"
        " decided_at = now() - interval '1 day' WHERE id = %s",
        lead.pk,
        again.pk,
    )
    assert carrying.make_due("effects") == 1
    assert (now(again).state, server.requests) == ("failed", 0)
    assert "Nobody has allowed" in now(again).reason


def test_what_was_undone_in_time_breaks_no_rule(allowed, lead):
    undo(allowed.pk, by=lead)
    assert list(CHECK.find().shown) == []
