"""The database repeats the law: each rule holds for SQL that goes round the Python."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from projects import audit
from projects.models import AuditEntry


def test_audit_entry_cannot_be_changed_or_removed(lead, project):
    audit.record("project.created", subject=project, actor=lead, project=project)
    for statement in (
        "UPDATE projects_auditentry SET action = 'x'",
        "DELETE FROM projects_auditentry",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert AuditEntry.objects.get().action == "project.created"
