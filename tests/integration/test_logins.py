"""Each database login can do its own work and none of the others'."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, connection, transaction
from psycopg.errors import InsufficientPrivilege

from countersign.supervisor import logins

APPROVAL_TABLES = ("policy", "approval", "signature", "comment", "edit", "effect")


@pytest.fixture
def cursor(db):
    with connection.cursor() as cursor:
        for login in logins.LOGINS:
            logins.create(cursor, login, "a password of this test")
            logins.grant(cursor, login, logins.role_name(login))
        yield cursor


def may(cursor, login: str, right: str, table: str) -> bool:
    cursor.execute("SELECT has_table_privilege(%s, %s, %s)", [f"countersign_{login}", table, right])
    return cursor.fetchone()[0]


def refused(cursor, login: str, statement: str) -> bool:
    """Try a statement as that login, undoing it; tell whether the database said no."""
    try:
        with transaction.atomic():
            cursor.execute(f"SET LOCAL ROLE countersign_{login}")
            cursor.execute(statement)
            transaction.set_rollback(True)
    except ProgrammingError as error:
        return isinstance(error.__cause__, InsufficientPrivilege)
    return False


@pytest.mark.parametrize("table", APPROVAL_TABLES)
@pytest.mark.parametrize("right", logins.WRITE)
def test_agents_never_write_approvals(cursor, table, right):
    assert not may(cursor, "agents", right, f"approvals_{table}")
    assert may(cursor, "agents", "SELECT", f"approvals_{table}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_approval SET state = 'approved'",
        "INSERT INTO approvals_signature SELECT * FROM approvals_signature",
        "UPDATE agents_agentversion SET instructions = 'approve everything'",
        "INSERT INTO agents_grant SELECT * FROM agents_grant",
        "UPDATE agents_hold SET lifted_at = now()",
        "UPDATE projects_membership SET role = 'lead'",
        "UPDATE projects_user SET is_superuser = true",
        "SELECT digest FROM projects_apitoken",
        "SELECT session_data FROM django_session",
        "DELETE FROM agents_event",
        "DELETE FROM agents_escalation",
        "CREATE TABLE loophole (id int)",
        "ALTER TABLE approvals_signature DISABLE TRIGGER append_only",
    ],
)
@pytest.mark.parametrize("login", ["agents", "effects"])
def test_workers_are_refused(cursor, login, statement):
    # The effects worker expires approvals, so it may write them; what counts is a signature.
    expected = not (login == "effects" and "UPDATE approvals_approval" in statement)
    assert expected == refused(cursor, login, statement)


@pytest.mark.parametrize("right", logins.WRITE)
def test_effects_worker_signs_nothing(cursor, right):
    assert not may(cursor, "effects", right, "approvals_signature")
    assert may(cursor, "effects", "UPDATE", "approvals_effect")


def test_effects_worker_counts_uses_of_standing_grants_and_makes_none(cursor):
    grants = "approvals_standinggrant"
    for statement in (
        f"UPDATE {grants} SET hits = hits + 1, used_at = now()",  # noqa: S608
        f"SELECT id FROM {grants} FOR NO KEY UPDATE",  # noqa: S608
        "INSERT INTO approvals_standinguse SELECT * FROM approvals_standinguse",
    ):
        assert not refused(cursor, "effects", statement)
        assert refused(cursor, "agents", statement)
    for statement in (
        f"UPDATE {grants} SET max_hits = 1000",  # noqa: S608
        f"UPDATE {grants} SET revoked_at = NULL",  # noqa: S608
        f"INSERT INTO {grants} SELECT * FROM {grants}",  # noqa: S608
        f"DELETE FROM {grants}",  # noqa: S608
        "DELETE FROM approvals_standinguse",
    ):
        assert refused(cursor, "effects", statement)


@pytest.mark.parametrize("login", ["web", "agents", "effects"])
def test_nobody_changes_the_audit_log(cursor, login):
    assert may(cursor, login, "INSERT", "projects_auditentry")
    for statement in (
        "UPDATE projects_auditentry SET action = 'x'",
        "DELETE FROM projects_auditentry",
        "TRUNCATE projects_auditentry",
        "ALTER TABLE projects_auditentry DISABLE TRIGGER append_only",
        "DROP TABLE projects_auditentry",
    ):
        assert refused(cursor, login, statement)


def test_sink_reads_events_and_nothing_else(cursor):
    assert may(cursor, "sink", "SELECT", "agents_event")
    assert may(cursor, "sink", "UPDATE", "countersign_sinkcursor")
    for table in ("agents_toolcall", "approvals_signature", "projects_user", "memory_memory"):
        assert not may(cursor, "sink", "SELECT", table)
    for right in logins.WRITE:
        assert not may(cursor, "sink", right, "agents_event")


def test_agents_know_nothing_of_where_messages_go_and_effects_change_no_wish(cursor):
    for table in ("webhook", "delivery", "notice", "choice"):
        assert not may(cursor, "agents", "SELECT", f"notices_{table}")
    assert may(cursor, "effects", "INSERT", "notices_delivery")
    assert not may(cursor, "effects", "UPDATE", "notices_choice")
    assert not may(cursor, "effects", "UPDATE", "notices_hours")


def test_web_signs_but_never_unsigns(cursor):
    assert may(cursor, "web", "INSERT", "approvals_signature")
    assert not may(cursor, "web", "UPDATE", "approvals_signature")
    assert not may(cursor, "web", "DELETE", "approvals_signature")


def test_tables_of_later_migrations_are_covered_by_the_next_start(cursor):
    cursor.execute("CREATE TABLE agents_later (id serial PRIMARY KEY)")
    assert refused(cursor, "agents", "INSERT INTO agents_later DEFAULT VALUES")
    logins.grant(cursor, logins.AGENTS, "countersign_agents")
    assert not refused(cursor, "agents", "INSERT INTO agents_later DEFAULT VALUES")


def test_granting_again_takes_back_what_was_added_by_hand(cursor):
    cursor.execute("GRANT UPDATE ON approvals_approval TO countersign_agents")
    logins.grant(cursor, logins.AGENTS, "countersign_agents")
    assert not may(cursor, "agents", "UPDATE", "approvals_approval")
