"""The database copies a signature to what follows, for the worker that seals, and nothing else."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from approvals import effects
from approvals.models import Approval
from countersign.supervisor import logins
from tests.approval_fixtures import past_triggers
from tests.holding_fixtures import effect_of, merge_again, signed

pytestmark = pytest.mark.django_db


def _refused(statement: str, *arguments: object) -> None:
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, arguments)


def test_the_database_copies_nothing_else(stale, tmp_path, lead):
    again = merge_again(stale, tmp_path)
    row, other = stale.signatures.get(), again.signatures.get()
    _refused("SELECT carry_signature(gen_random_uuid(), %s, %s)", row.pk, again.pk)  # decided
    _refused("SELECT carry_signature(gen_random_uuid(), %s, %s)", other.pk, again.pk)
    copy = (
        "INSERT INTO approvals_signature (id, approval_id, carried_from_id, signer_id, "
        "requester_id, single_person, verdict, digest, nonce, note, at, on_behalf_of, key, mark) "
        "SELECT gen_random_uuid(), %s, %s, signer_id, requester_id, single_person, verdict, digest,"
        " nonce, note, at, on_behalf_of, key, mark FROM approvals_signature WHERE id = %s"
    )
    _refused(copy, stale.pk, row.pk, row.pk)
    _refused(copy, again.pk, row.pk, row.pk)


def test_the_database_keeps_what_an_approval_follows(stale, tmp_path):
    again = merge_again(stale, tmp_path)
    _refused("UPDATE approvals_approval SET follows_id = NULL WHERE id = %s", again.pk)
    past_triggers("UPDATE approvals_approval SET main_moved = false WHERE id = %s", stale.pk)
    names = [f.column for f in Approval._meta.concrete_fields if not f.generated]
    values = ["gen_random_uuid()" if n == "id" else n for n in names]
    values[names.index("nonce")] = "'another'"
    _refused(
        f"INSERT INTO approvals_approval ({', '.join(names)}) SELECT {', '.join(values)} "  # noqa: S608
        "FROM approvals_approval WHERE id = %s",
        again.pk,
    )


def test_the_login_of_the_effects_worker_copies_signatures_and_writes_none(stale, tmp_path):
    with connection.cursor() as cursor:
        logins.create(cursor, logins.EFFECTS, "a password of this test")
        logins.grant(cursor, logins.EFFECTS, "countersign_effects")
        cursor.execute("SET LOCAL ROLE countersign_effects")
        again = merge_again(stale, tmp_path)
        assert (again.state, signed(again)) == ("approved", [("dana", "approve")])
        effects.carry_out_due("worker")
        cursor.execute("RESET ROLE")
    assert effect_of(again).state == "done"


@pytest.mark.parametrize("login", [logins.AGENTS, logins.WEB])
def test_no_other_login_copies_signatures(stale, tmp_path, login):
    row = stale.signatures.get()
    with connection.cursor() as cursor:
        logins.create(cursor, login, "a password of this test")
        logins.grant(cursor, login, logins.role_name(login))
        cursor.execute(f"SET LOCAL ROLE {logins.role_name(login)}")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute("SELECT carry_signature(gen_random_uuid(), %s, %s)", [row.pk, stale.pk])
        cursor.execute("RESET ROLE")
