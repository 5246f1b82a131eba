"""A healthy story breaks no invariant; each planted breach is named by its check, with its row."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from approvals.models import Approval
from approvals.undoing import undo
from countersign import invariants
from countersign.supervisor import logins
from projects import anchoring, audit
from projects.invariants import SHOWN, NotChecked
from tests.approval_fixtures import approve
from tests.invariant_fixtures import Stories, tell
from tests.runtime_fixtures import agents

__all__ = ["agents"]

BREACHES = (Path(__file__).parents[1] / "invariant_breaches.sql").read_text()
ALTERED = sorted(set(re.findall(r"ALTER TABLE (\w+)", BREACHES)))


@pytest.fixture
def stories(agents, project, requester, lead, tmp_path, settings) -> Stories:
    settings.DATA_DIR = tmp_path / "data"
    with connection.cursor() as cursor:
        # Before rights are granted, not after: an autovacuum of such a table waits for who granted
        # them, and who then alters the table would wait for the autovacuum.
        cursor.execute(f"LOCK TABLE {', '.join(ALTERED)}")
        for login in logins.LOGINS:
            logins.create(cursor, login, "a password of this test")
            logins.grant(cursor, login, logins.role_name(login))
    audit.record("project.looked_at", subject=project, actor=lead, project=project)
    told = tell(project, requester, lead, tmp_path)
    anchoring.keep(settings.AUDIT_ANCHORS, anchoring.newest())
    return told


def broken() -> dict[str, list[str]]:
    found = {}
    for result in invariants.verify():
        assert not result.fault, (result.check.name, result.fault)
        if result.found.count:
            found[result.check.name] = [f"{o.table} {o.pk} {o.said}" for o in result.found.shown]
    return found


def breaches() -> list[tuple[str, list[str], str]]:
    """Read the file: the check's name, the statements, and the query of the row it must name."""
    found = []
    for block in BREACHES.split("-- breaks ")[1:]:
        name, _, rest = block.partition("\n")
        statements, _, row = rest.partition("-- row ")
        found.append((name.strip(), statements.strip().split(";\n"), row.partition("\n")[0]))
    return found


def named(text: str, stories: Stories) -> str:
    for name, task in vars(stories).items():
        text = text.replace(f":{name}", f"'{task.pk}'")
    return text


def plant(stories: Stories, *statements: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(named(statement, stories))
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def one_value(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return str(cursor.fetchone()[0])


def test_healthy_stories_break_nothing_and_every_breach_is_named(stories):
    assert broken() == {}
    unseen = []
    for name, statements, row in breaches():
        with transaction.atomic():
            plant(stories, *statements)
            pk = one_value(named(row, stories))
            found = broken()
            if not any(pk in said for said in found.get(name, [])):
                unseen.append((name, statements, pk, found))
            transaction.set_rollback(True)
    assert unseen == []


def test_what_is_undone_and_approved_again_breaks_nothing(stories, lead):
    sealed = Approval.objects.get(task=stories.review)
    for _ in range(2):
        approve(sealed, lead)
        sealed = undo(sealed, by=lead)
    approve(sealed, lead)
    assert broken() == {}


def test_every_check_has_a_breach_planted():
    elsewhere = {"left-over", "secrets"}
    planted = {name for name, *_ in breaches()}
    assert {check.name for check in invariants.checks()} == planted | elsewhere


def test_secrets_in_events_and_logs_are_found(stories, settings, tmp_path):
    settings.OPENAI_API_KEY = "key-of-the-test-suite-1234"
    stories.working.record("message", {"text": f"I use {settings.OPENAI_API_KEY} now."})
    stories.working.record("message", {"text": "AKIA" + "ABCDEFGHIJKLMNOP"})
    log = tmp_path / "data/logs/agents.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"INFO calling with {settings.OPENAI_API_KEY}\n")
    said = broken()["secrets"]
    assert len(said) == 3
    assert not any(settings.OPENAI_API_KEY in line for line in said)
    assert str(log) in said[-1]


def test_workspaces_of_attempts_that_are_over_are_found(stories, tmp_path):
    over, held = stories.merged.steps.get(key="mend"), stories.working.steps.get(key="mend")
    folders = []
    for step, age in ((over, 3_600), (over, 0), (held, 3_600)):
        folder = tmp_path / f"data/workspaces/{step.task_id}/{step.pk}.{1 if age else 7}"
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder, (time.time() - age,) * 2)
        folders.append(folder)
    (said,) = broken()["left-over"]
    assert str(folders[0]) in said


def test_command_prints_a_table_and_exits_by_what_it_found(stories):
    out = StringIO()
    call_command("verify_invariants", stdout=out)
    assert f"All {len(invariants.checks())} invariants hold." in out.getvalue()
    plant(stories, "UPDATE agents_task SET usd = 6 WHERE id = :working")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_invariants", "budget", "meters", "fan-in", stdout=out)
    assert ended.value.code == 1
    assert f"agents.task {stories.working.pk} used" in out.getvalue()
    assert "2 of 3 invariants do not hold." in out.getvalue()
    with pytest.raises(CommandError, match="no check 'nothing'"):
        call_command("verify_invariants", "nothing")


def test_command_tells_what_is_broken_from_what_could_not_be_checked(stories, monkeypatch):
    def away() -> None:
        raise NotChecked("The database did not answer.")

    sound, *_, last = invariants.checks()
    unknown = replace(last, find=away)
    monkeypatch.setattr(invariants, "checks", lambda: [sound, unknown])
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_invariants", stdout=out)
    assert ended.value.code == 2
    assert "1 of 2 could not be checked" in out.getvalue()
    assert "do not hold" not in out.getvalue()


def test_rows_are_counted_and_only_the_first_are_shown(stories):
    plant(
        stories,
        "INSERT INTO agents_toolserver (id, slug, name, transport, target, enabled) SELECT"
        " gen_random_uuid(), 'evil-' || n, 'Evil', 'stdio', 'sh', true FROM generate_series(1, 60) n",
    )
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_invariants", "stdio", "--json", stdout=out)
    told = json.loads(out.getvalue())
    (check,) = told["checks"]
    assert (told["holds"], check["count"], len(check["rows"])) == (False, 60, SHOWN)
