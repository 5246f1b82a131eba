"""What leaves as CSV or JSON lines: no cell is a formula, no line is two, nothing cannot be seen."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.urls import reverse

from projects import audit
from projects.models import AuditEntry
from tests.payloads.drawn import unmarked
from tests.payloads.hidden import CLASSES, EVERY, code
from tests.payloads.payloads import PAYLOADS

pytestmark = pytest.mark.django_db
STARTS = ("=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "\tx", "\rx", "\uff1d", "\u00a0=")
TEXTS = (EVERY, *PAYLOADS, *(f"{start}1+1" for start in STARTS))
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@pytest.fixture
def entries(project, lead):
    for text in TEXTS:
        lead.username = text[:150]
        audit.record("thing.done", subject=project, actor=lead, project=project, said=text)
    return AuditEntry.objects.filter(action="thing.done")


def _saved(client, admin, entries, kind: str) -> str:
    client.force_login(admin)
    chosen = {"action": kind, "_selected_action": [entry.pk for entry in entries]}
    answer = client.post(reverse("admin:projects_auditentry_changelist"), chosen)
    assert answer["Content-Disposition"] in {
        'attachment; filename="audit.csv"',
        'attachment; filename="audit.jsonl"',
    }
    return answer.content.decode()


def test_no_cell_runs_and_no_cell_hides_anything(client, admin, entries):
    head, *rows = csv.reader(io.StringIO(_saved(client, admin, entries, "as_csv")))
    assert len(rows) == len(TEXTS)
    for row in rows:
        assert len(row) == len(head)
        assert [cell for cell in row if cell.startswith(FORMULAS)] == []
        assert [cell for cell in row if unmarked(cell)] == []
    actors = [row[head.index("actor")] for row in rows]
    said = next(actor for actor in actors if actor.startswith("p⟨U+200B⟩"))
    assert [name for name, each in CLASSES.items() if code(each) not in said] == []
    assert sum(actor.startswith("'") for actor in actors) >= len(STARTS)
    # The detail is JSON in ASCII: as it is, and yet nothing in it is hidden.
    assert [json.loads(row[head.index("detail")])["said"] for row in rows] == [
        entry.detail["said"] for entry in entries.order_by("pk")
    ]


def test_each_entry_is_one_line_of_ascii_and_says_what_was_written(client, admin, entries):
    lines = _saved(client, admin, entries, "as_json_lines").split("\n")
    assert lines.pop() == ""
    assert all(line.isascii() and line.isprintable() for line in lines)
    told = [json.loads(line)["detail"]["said"] for line in lines]
    assert told == [entry.detail["said"] for entry in entries.order_by("pk")]
