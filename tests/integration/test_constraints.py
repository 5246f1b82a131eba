"""The database repeats the law: each rule holds for SQL that goes round the Python."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from agents.models import Escalation
from agents.models.tasks import Choice, Rule
from projects import audit
from projects.models import AuditEntry, Project
from tests.approval_fixtures import make_report


def test_audit_entry_cannot_be_changed_or_removed(lead, project):
    audit.record("project.created", subject=project, actor=lead, project=project)
    for statement in (
        "UPDATE projects_auditentry SET action = 'x'",
        "DELETE FROM projects_auditentry",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert AuditEntry.objects.get().action == "project.created"


def refused(statement: str, *values: object) -> bool:
    """Try a statement that goes round the Python; tell whether a rule of the database refused it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, values)
    except IntegrityError:
        return True
    return False


def test_who_asked_for_a_task_and_where_never_changes(project, requester, lead):
    task = make_report(project, requester).task
    other = Project.objects.create(slug="other", name="Other")
    assert refused("UPDATE agents_task SET requester_id = %s", lead.pk)
    assert refused("UPDATE agents_task SET project_id = %s", other.pk)
    assert not refused("UPDATE agents_task SET requester_id = %s, title = 'Other'", requester.pk)
    task.refresh_from_db()
    assert (task.requester, task.project, task.title) == (requester, project, "Other")


def test_what_a_person_answered_never_changes(project, requester, lead):
    task, other = (make_report(project, requester).task for _ in range(2))
    asked = Escalation.objects.create(
        task=task, rule=Rule.BLOCKED, detail="It does not build.", options=[Choice.TAKE_OVER]
    )
    answer = "UPDATE agents_escalation SET state = %s, choice = %s, resolved_by_id = %s, resolved_at = %s"
    now = timezone.now()
    assert not refused(answer, "resolved", Choice.TAKE_OVER, lead.pk, now)
    assert refused(answer, "resolved", Choice.STOP, lead.pk, now)
    assert refused(answer, "resolved", Choice.TAKE_OVER, requester.pk, now)
    assert refused(answer, "resolved", Choice.TAKE_OVER, None, now)
    assert refused(answer, "open", "", None, None)
    assert refused("UPDATE agents_escalation SET task_id = %s", other.pk)
    assert refused("UPDATE agents_escalation SET step_id = %s", other.steps.first().pk)
    assert not refused("UPDATE agents_escalation SET note = 'Done.'")
    asked.refresh_from_db()
    assert (asked.task, asked.choice, asked.resolved_by) == (task, "take_over", lead)
