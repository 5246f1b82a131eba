"""What a process of the version before, and one at work meanwhile, meet while a house is migrated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
from django.db import ProgrammingError, connection, transaction

from approvals import policies
from tests.waiting_locks import until_somebody_waits

pytestmark = pytest.mark.django_db

NARROW = import_module("approvals.migrations.0039_narrow_lists_by_name")


@pytest.mark.django_db(transaction=True)
def test_lists_are_filled_anew_without_a_deadlock_with_who_reads_reviews_and_then_lists():
    def migrate() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(NARROW.ADD)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as hand:
        with transaction.atomic(), connection.cursor() as reader:
            reader.execute("SET LOCAL lock_timeout = '5s'")
            reader.execute("SELECT count(*) FROM approvals_approval")
            migrating = hand.submit(migrate)
            until_somebody_waits()
            reader.execute("SELECT count(*) FROM approvals_listed")
        with pytest.raises(ProgrammingError, match="already exists"):  # it was migrated before
            migrating.result()


def test_a_process_of_before_rules_named_tools_saves_a_policy_with_rules(project, lead):
    """What it leaves out of its INSERT has a default."""
    policy = policies.change(project, by=lead, signatures_needed=2)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO approvals_policyrule (id, policy_id, position, name, risks, paths, kinds,"
            " signatures_needed, every_file_viewed, undo_seconds, expires_hours)"
            " VALUES (gen_random_uuid(), %s, 0, 'Money', '{}', '{}', '{}', 2, false, NULL, NULL)",
            [policy.pk],
        )
    assert policy.rules.get().tools == []


def test_every_function_of_the_database_looks_up_what_it_names_in_our_schema():
    """A temporary table of the same name would pass for what a trigger holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, array_to_string(proconfig, ';') FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS ("
            "SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
        )
        found = dict(cursor.fetchall())
    assert "list_approval" in found
    assert set(found.values()) == {"search_path=pg_catalog, public, pg_temp"}
