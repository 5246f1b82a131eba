"""The task page and the API tell who asked whom, what was answered, and which steps were added."""

from __future__ import annotations

import pytest

from tests.delegation_fixtures import asking_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, project, requester):
    task = asking_task(project, requester)
    client.force_login(requester)

    def get(query: str = "") -> str:
        return client.get(f"/tasks/T-{task.number}{query}").content.decode()

    return get


def test_steps_say_who_asked_and_who_added(page):
    shown = page()
    assert "Answers Test agent: Find out how refunds are rounded." in shown
    assert "Test agent asks:" in shown
    assert "“Half up, per line: see billing/refunds.py.”" in shown
    assert "Correct the help text of the command line (added by Tech writer)" in shown
    assert shown.count("node-answer") == 2
    assert "answered" in shown
    assert "waits for Tech writer" in shown


def test_events_say_what_was_asked_answered_and_added(page):
    shown = page("?tab=events")
    assert "Asked Code agent" in shown
    assert "How are refunds rounded?" in shown
    assert "Code agent answered" in shown
    assert "Step added" in shown


def test_graph_keeps_every_step_in_both_views(page):
    for view in ("graph", "list"):
        assert page(f"?view={view}").count('class="node ') == 10  # 8 steps, sign-off, merge


def test_api_lists_them_with_kind_and_asker(client, project, requester):
    task = asking_task(project, requester)
    client.force_login(requester)
    steps = client.get(f"/api/v1/tasks/{task.pk}").json()["plan"]["steps"]
    by_id = {step["id"]: step for step in steps}
    asked = {step["key"]: step for step in steps if step["asked_by"]}
    assert {key: (step["kind"], step["agent"]) for key, step in asked.items()} == {
        "asked-1": ("answer", "coder"),
        "asked-2": ("answer", "tech-writer"),
        "note-change": ("work", "coder"),
    }
    assert by_id[asked["asked-1"]["asked_by"]]["key"] == "cover"
    assert by_id[asked["note-change"]["asked_by"]]["key"] == "docs"
