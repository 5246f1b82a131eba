"""What a process of the version before, and one at work meanwhile, meet while a house is migrated."""

from __future__ import annotations

import pytest
from django.db import connection

from approvals import policies

pytestmark = pytest.mark.django_db


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
