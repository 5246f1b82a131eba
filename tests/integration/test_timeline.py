"""The list by step shows the newest of what people did, in order of time."""

from __future__ import annotations

import pytest

from agents import notes
from countersign.console import timeline
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db


def test_of_many_decisions_the_newest_are_read_and_shown_in_order(project, requester, monkeypatch):
    made = fixtures.running_task(project, requester)
    written = [
        notes.add_note(made.task, text=f"Note {number}.", by=requester).seq for number in range(5)
    ]
    monkeypatch.setattr(timeline, "ROWS_AT_MOST", 3)
    found = list(timeline.decisions(made.task))
    assert [event.seq for event in found] == written[:1:-1]
    rows = timeline.by_step(made.task, found, [], {}, [])
    assert [row.seq for row in rows] == written[2:]
