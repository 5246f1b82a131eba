"""The audit log as a whole: what is done to it is named, and others can check what they are given."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from approvals import executor
from projects import anchoring, audit, auditing
from projects.invariants import CHECKS, NotChecked
from projects.models import AuditEntry, User

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries(project, lead) -> list[AuditEntry]:
    for number in range(6):
        audit.record("thing.done", subject=project, actor=lead, project=project, number=number)
    return list(AuditEntry.objects.order_by("id"))


@pytest.fixture
def anchors(settings) -> Path:
    path: Path = settings.AUDIT_ANCHORS
    return path


def tamper(statement: str, *values: object) -> None:
    """Write as a superuser may, past every trigger."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE projects_auditentry DISABLE TRIGGER append_only")
        cursor.execute(statement, values)
        cursor.execute("ALTER TABLE projects_auditentry ENABLE ALWAYS TRIGGER append_only")


def chain_anew() -> None:
    """Make the log sound in itself again, as somebody who knows how it is made."""
    before = audit.GENESIS
    for entry in AuditEntry.objects.order_by("id"):
        entry.previous_digest = before
        before = audit.digest_of(entry)
        set_both = "UPDATE projects_auditentry SET previous_digest = %s, digest = %s WHERE id = %s"
        tamper(set_both, entry.previous_digest, before, entry.pk)


def keep(anchors: Path) -> bool:
    newest = anchoring.newest()
    assert newest is not None
    return anchoring.keep(anchors, newest)


def found(anchors: Path) -> tuple[str, int]:
    kept = anchoring.read(anchors).anchors if anchors.exists() else ()
    breach = auditing.walk(kept).breach
    assert breach is not None
    assert str(breach.entry) in breach.said
    return breach.what, breach.entry


def test_a_log_that_was_left_alone_has_no_breach(entries, anchors):
    keep(anchors)
    walked = auditing.walk(anchoring.read(anchors).anchors)
    assert (walked.entries, walked.last, walked.breach) == (6, entries[-1].pk, None)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01T00:00Z"),
        ("actor_label", "nobody"),
        ("address", "192.0.2.1"),
        ("project_id", None),
        ("action", "thing.else"),
        ("object_type", "task"),
        ("object_id", "0"),
        ("detail", "{}"),
        ("digest", "f" * 64),
    ],
)
def test_every_column_the_digest_covers_is_named_when_it_is_changed(
    entries, anchors, column, value
):
    statement = f"UPDATE projects_auditentry SET {column} = %s WHERE id = %s"  # noqa: S608
    tamper(statement, value, entries[2].pk)
    assert found(anchors) == ("altered", entries[2].pk)


def test_an_entry_that_is_removed_is_named(entries, anchors):
    before, gone, after = (each.pk for each in entries[2:5])
    tamper("DELETE FROM projects_auditentry WHERE id = %s", gone)
    assert found(anchors) == ("removed", gone)
    said = f"Entry {gone} was removed, or entry {before} was written anew: entry {after} does not "
    assert said in auditing.walk().breach.said


def test_of_several_that_are_removed_all_that_may_be_are_named(entries, anchors):
    tamper("DELETE FROM projects_auditentry WHERE id IN (%s, %s)", entries[2].pk, entries[3].pk)
    assert found(anchors) == ("removed", entries[2].pk)
    said = f"One or more of entries {entries[2].pk} to {entries[3].pk} was removed, "
    assert said in auditing.walk().breach.said


def test_a_beginning_that_is_removed_is_named(entries, anchors):
    tamper("DELETE FROM projects_auditentry WHERE id = %s", entries[0].pk)
    what, entry = found(anchors)
    assert (what, entry) == ("removed", 1)  # numbers begin there
    assert f"{entries[0].pk} was removed: entry {entries[1].pk} " in auditing.walk().breach.said


def test_an_entry_that_was_given_a_digest_of_its_own_is_named(entries, anchors):
    tamper("UPDATE projects_auditentry SET action = 'x.y' WHERE id = %s", entries[2].pk)
    entry = AuditEntry.objects.get(pk=entries[2].pk)
    digest = audit.digest_of(entry)
    tamper("UPDATE projects_auditentry SET digest = %s WHERE id = %s", digest, entry.pk)
    assert found(anchors) == ("altered", entry.pk)


def test_an_entry_that_leads_to_another_person_is_named(entries, anchors, requester):
    statement = "UPDATE projects_auditentry SET actor_id = %s WHERE id = %s"
    tamper(statement, requester.pk, entries[2].pk)
    assert found(anchors) == ("altered", entries[2].pk)
    assert "leads to a person of another name" in auditing.walk().breach.said


def test_an_entry_of_who_came_as_the_log_was_opened_is_none_that_was_altered(entries, project):
    came: list[User] = []

    def comes(execute, sql, *rest):
        """Let somebody come, and act, as soon as it was read who is there."""
        answer = execute(sql, *rest)
        if 'FROM "projects_user"' in sql and not came:
            came.append(User(username="new"))
            came[0].save()
            audit.record("thing.done", subject=project, actor=came[0], project=project)
        return answer

    with connection.execute_wrapper(comes):
        walked = auditing.walk()
    assert walked.entries == len(entries) + 1
    assert walked.breach is None


def test_an_entry_of_who_was_renamed_since_is_none_that_was_altered(entries, lead, admin, client):
    client.force_login(admin)
    blank = {"theme": "", "single_keys": "on", "is_active": "on"}
    blank |= {f"memberships-{count}": "0" for count in ("TOTAL_FORMS", "INITIAL_FORMS")}
    blank |= {f"quota-{count}": "0" for count in ("TOTAL_FORMS", "INITIAL_FORMS")}
    page = reverse("admin:projects_user_change", args=[lead.pk])
    assert client.post(page, {"username": "dana.kim", **blank}).status_code == 302
    lead.refresh_from_db()
    assert lead.username == "dana.kim"
    audit.record("thing.done", subject=lead, actor=lead)
    assert auditing.walk().breach is None
    newest = AuditEntry.objects.latest("pk")
    tamper("UPDATE projects_auditentry SET actor_id = %s WHERE id = %s", admin.pk, newest.pk)
    assert auditing.walk().breach.entry == newest.pk


def test_an_end_that_is_cut_off_is_told_by_the_anchor_alone(entries, anchors):
    keep(anchors)
    tamper("DELETE FROM projects_auditentry WHERE id > %s", entries[3].pk)
    assert auditing.walk().breach is None
    assert found(anchors) == ("cut", entries[5].pk)
    end = auditing.walk(anchoring.read(anchors).anchors).breach.said
    assert f"cut after entry {entries[3].pk}: " in end
    tamper("DELETE FROM projects_auditentry")
    assert found(anchors) == ("cut", entries[5].pk)


def test_a_log_that_was_written_anew_is_told_by_the_first_anchor_that_differs(
    entries, anchors, project, lead
):
    keep(anchors)
    for number in range(2):
        audit.record("thing.done", subject=project, actor=lead, number=number)
        keep(anchors)
    seventh = entries[5].pk + 1
    tamper("UPDATE projects_auditentry SET action = 'x.y' WHERE id = %s", seventh)
    chain_anew()
    assert auditing.walk().breach is None
    assert found(anchors) == ("altered", seventh)


def test_an_anchored_entry_that_is_taken_out_of_a_chain_made_sound_is_named(entries, anchors):
    keep(anchors)
    (first,) = anchoring.read(anchors).anchors
    line = {"at": first.at, "entry": entries[2].pk, "digest": entries[2].digest}
    anchors.write_text(f"{json.dumps(line)}\n{anchors.read_text()}")
    tamper("DELETE FROM projects_auditentry WHERE id = %s", entries[2].pk)
    chain_anew()
    assert found(anchors) == ("removed", entries[2].pk)


def test_an_entry_is_anchored_once_in_a_file_of_ones_own(entries, anchors):
    assert keep(anchors)
    assert not keep(anchors)
    (anchor,) = anchoring.read(anchors).anchors
    assert (anchor.entry, anchor.digest) == (entries[5].pk, entries[5].digest)
    assert anchors.stat().st_mode & 0o077 == 0


def test_a_line_that_is_none_is_named_and_hides_no_other(entries, anchors, capsys):
    anchors.write_bytes(b'{"at": "2026\n\xff\n[]\n{"at": "2026')
    assert keep(anchors)
    kept = anchoring.read(anchors)
    assert kept.unreadable == (1, 2, 3, 4)
    assert [anchor.entry for anchor in kept.anchors] == [entries[5].pk]
    code, said = run(capsys, "verify_audit")
    assert code == 2
    assert "these lines are no anchors: 1, 2, 3, 4" in said
    tamper("DELETE FROM projects_auditentry WHERE id > %s", entries[3].pk)
    assert run(capsys, "verify_audit")[0] == 1


def test_a_full_disk_leaves_no_half_a_line(entries, anchors):
    keep(anchors)
    before = anchors.read_bytes()
    audit.record("thing.done", subject=entries[0], actor=None)
    # A limit of the process, so in one of its own.
    limited = """
import resource, signal, sys
from pathlib import Path
from projects.anchoring import Anchor, keep
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    keep(Path(sys.argv[1]), Anchor(at="now", entry=7, digest="d" * 64))
except OSError:
    print("refused")
"""
    script = f"import django; django.setup()\n{limited}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "countersign.settings"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", script, str(anchors), str(len(before) + 20)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.strip() == "refused"
    assert anchors.read_bytes() == before


def test_while_another_process_writes_nothing_waits(entries, anchors):
    with anchors.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            keep(anchors)
    assert keep(anchors)


def test_an_empty_log_has_no_newest_entry():
    assert anchoring.newest() is None


@pytest.mark.django_db(transaction=True)
def test_the_effects_worker_anchors_and_goes_on_where_it_cannot(entries, settings, caplog):
    turn("anchoring")
    (anchor,) = anchoring.read(settings.AUDIT_ANCHORS).anchors
    assert anchor.entry == entries[5].pk
    settings.AUDIT_ANCHORS = settings.AUDIT_ANCHORS / "no-folder"
    turn("cannot")
    assert "is not anchored" in caplog.text
    connection.close()


def turn(name: str) -> None:
    worker = executor.Executor(name)
    assert worker._turn()
    worker._anchoring.join(10)


def run(capsys, *arguments: str) -> tuple[int, str]:
    try:
        call_command(*arguments)
    except SystemExit as end:
        return int(end.code), capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_the_command_says_what_it_found(entries, anchors, lead, capsys):
    code, said = run(capsys, "verify_audit")
    assert code == 2
    assert "All 6 entries follow each other." in said
    assert f"There are no anchors at {anchors}" in said
    keep(anchors)
    code, said = run(capsys, "verify_audit", "--anchors", str(anchors))
    assert code == 0
    assert f"1 anchors agree; the newest is of entry {entries[5].pk}" in said
    tamper("UPDATE projects_auditentry SET action = 'x.y' WHERE id = %s", entries[1].pk)
    code, said = run(capsys, "verify_audit")
    assert code == 1
    assert f"altered: Entry {entries[1].pk} (x.y, {lead.username}, " in said
    assert "The 1 before it" in said
    tamper(
        "UPDATE projects_auditentry SET action = %s WHERE id = %s", "\x1b[2K\u202e", entries[1].pk
    )
    assert f"Entry {entries[1].pk} (\\x1b[2K\\u202e, " in run(capsys, "verify_audit")[1]
    anchors.unlink()
    anchors.mkdir()
    with pytest.raises(CommandError, match="nothing was checked") as refused:
        call_command("verify_audit")
    assert refused.value.returncode == 2


def test_an_old_log_without_anchors_is_not_said_to_be_whole(entries, settings):
    (check,) = (each for each in CHECKS if each.name == "audit-anchors")
    assert check.find().count == 0
    tamper("UPDATE projects_auditentry SET at = now() - interval '1 hour'")
    with pytest.raises(NotChecked, match="There are no anchors at"):
        check.find()
    settings.AUDIT_ANCHORS.write_text("nonsense\n")
    assert "line 1 of" in check.find().shown[0].said


def test_who_is_given_json_lines_can_check_the_chain_alone(entries, capsys):
    code, said = run(capsys, "export_audit")
    before = audit.GENESIS
    for line in map(json.loads, said.splitlines()):
        facts = [line["at"], line["actor"], line["address"], line["project_id"] or ""]
        facts += [line["action"], line["object_type"], line["object_id"], line["detail"]]
        told = json.dumps([before, *facts], sort_keys=True)
        assert line["previous_digest"] == before
        before = hashlib.sha256(told.encode()).hexdigest()
        assert line["digest"] == before
    assert (code, before) == (0, entries[5].digest)


@pytest.mark.parametrize("start", ["=", " =", "\n+", "@", "\uff1d"])
def test_no_cell_of_the_csv_is_a_formula(project, lead, capsys, start):
    lead.username = start + "cmd|' /C calc'!A0"
    audit.record("thing.done", subject=project, actor=lead, project=project, said='a "b", c\n')
    _, said = run(capsys, "export_audit", "--format", "csv")
    header, row = csv.reader(io.StringIO(said))
    cells = dict(zip(header, row, strict=True))
    assert cells["actor"] == f"'{lead.username}"
    assert json.loads(cells["detail"]) == {"said": 'a "b", c\n'}


def test_no_cell_is_a_formula_where_semicolons_separate(project, lead, capsys):
    lead.username = "x; =cmd|' /C calc'!A0"
    audit.record("thing.done", subject=project, actor=lead, project=project, said="a;@b, ;-1")
    _, said = run(capsys, "export_audit", "--format", "csv")
    assert not [cell for cell in said.split(";") if cell.lstrip().startswith(("=", "-", "@"))]


def test_a_part_is_exported_to_a_new_file_only(entries, tmp_path, capsys, stranger):
    audit.record("person.looked", subject=stranger, actor=stranger)
    file = tmp_path / "audit.jsonl"
    call_command("export_audit", str(file), "--project", "acme-billing", "--since", "2020-01-01")
    assert len(file.read_text().splitlines()) == 6
    assert file.stat().st_mode & 0o077 == 0
    assert list(tmp_path.glob(".audit*")) == []
    with pytest.raises(CommandError, match="is there already; nothing was written"):
        call_command("export_audit", str(file))
    assert run(capsys, "export_audit", "--until", "2020-01-01T00:00Z") == (0, "")
    for wrong in (("--project", "no-such"), ("--since", "yesterday"), ("--until", "2020-13-01")):
        with pytest.raises(CommandError):
            call_command("export_audit", *wrong)


@pytest.mark.parametrize("kind", ["as_json_lines", "as_csv"])
def test_an_admin_saves_chosen_entries(entries, client, admin, kind):
    client.force_login(admin)
    chosen = {"action": kind, "_selected_action": [entries[1].pk, entries[4].pk]}
    answer = client.post(reverse("admin:projects_auditentry_changelist"), chosen)
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    text = answer.content.decode()
    assert all(entry.digest in text for entry in (entries[1], entries[4]))
    assert entries[2].digest not in text.replace(entries[3].previous_digest, "")
