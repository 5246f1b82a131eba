"""What the task page says while something waits: the task for its turn, a note for its reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from agents import holds, notes
from agents.lifecycle import StepKind, StepState, TaskState
from agents.models import Attempt, Hold, HoldScope, Step
from countersign.console import queueing
from projects.models import Project
from tests import console_fixtures as fixtures
from tests.approval_fixtures import approve
from tests.console_fixtures import queued_task

if TYPE_CHECKING:
    from agents.models import Task

pytestmark = pytest.mark.django_db
LINE = 2_000  # steps


@pytest.fixture
def shown(client, requester):
    """Return a function that gives the text of a task's page."""
    client.force_login(requester)

    def text(task: Task, query: str = "") -> str:
        return client.get(f"/tasks/T-{task.number}{query}").content.decode()

    return text


def test_a_queued_task_says_its_place_in_the_line(shown, project, requester):
    first, second, third = (queued_task(project, requester) for _ in range(3))
    assert "Queued, position 1" in shown(first)
    assert "Accepted. The router begins in a moment." in shown(first)
    assert "Queued, position 2" in shown(second)
    assert "1 step goes first" in shown(second)
    assert "Queued, position 3" in shown(third)
    assert "2 steps go first" in shown(third, "/live")


def test_who_is_before_it_is_who_is_claimed_before_it(shown, project, requester, lead):
    paused, task = queued_task(project, requester), queued_task(project, requester)
    queued_task(project, requester, priority=1)
    holds.place(by=lead, task=paused)
    assert "Queued, position 2" in shown(task)
    Step.objects.exclude(task=task).update(state=StepState.DONE)
    assert "Queued, position 1" in shown(task)


def test_other_projects_take_turns_and_are_not_counted(shown, project, requester):
    queued_task(Project.objects.create(slug="beside", name="beside"), requester)
    assert "Queued, position 1" in shown(queued_task(project, requester))


def _line_up(task: Task, count: int) -> None:
    step = task.steps.get()
    Step.objects.bulk_create(
        Step(
            task=task,
            key=f"s{number}",
            agent=step.agent,
            version=step.version,
            title="Before it",
            state=StepState.READY,
            priority=1,
            kind=StepKind.WORK,
            project=task.project,
            round=1,
        )
        for number in range(count)
    )


def test_a_long_line_is_not_counted_to_its_end(shown, project, requester):
    _line_up(queued_task(project, requester), 120)
    later = queued_task(project, requester)
    assert "Queued, beyond 100" in shown(later)
    assert "100 or more steps go first" in shown(later)


def _read_of(plan: dict[str, Any]) -> int:
    """Add up the rows of steps a plan read, also those it threw away."""
    thrown = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    rows = (plan["Actual Rows"] + thrown) * plan["Actual Loops"]
    here = rows if plan.get("Relation Name") == "agents_step" else 0
    return here + sum(_read_of(each) for each in plan.get("Plans", ()))


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_look_at_a_long_line_that_is_held_reads_a_hundred_steps_of_it(
    project, requester, lead, place
):
    tasks = [queued_task(project, requester) for _ in range(2)]
    _line_up(tasks[0], LINE)
    Hold.objects.create(scope=HoldScope.EVERYTHING, placed_by=lead, reason="Wait.")
    steps = Step.objects.filter(task=tasks[1])
    steps.update(priority=2 if place == "first" else 0)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE agents_step")
    told = queueing.with_ahead(steps, tasks[1]).explain(analyze=True, format="json")
    assert 100 <= _read_of(json.loads(told)[0]["Plan"]) <= 110
    assert queueing.with_ahead(steps, tasks[1]).get().ahead == (0 if place == "first" else 100)


def test_a_note_is_queued_and_then_read(shown, project, requester):
    made = fixtures.running_task(project, requester)
    note = notes.add_note(made.task, text="Keep refunds as they are.", by=requester)
    page = shown(made.task)
    assert "Keep refunds as they are." in page
    assert "queued, read before the next turn" in page
    Attempt.objects.filter(step=made.steps["coder"]).update(seen_seq=note.seq)
    page = shown(made.task)
    assert "read by Code agent" in page
    assert "queued, read" not in page
    Attempt.objects.filter(step=made.steps["writer"]).update(seen_seq=note.seq)
    writer = made.steps["writer"].agent.name
    assert f"read by Code agent and {writer}" in shown(made.task, "/live")


def test_a_note_in_review_is_read_only_if_a_next_round_begins(
    client, shown, project, requester, lead
):
    made = fixtures.reviewed_task(project, requester)
    assert "They read it if a next round begins" in shown(made.task)
    url = f"/tasks/{made.task.label}"
    page = client.post(f"{url}/note", {"text": "Keep refunds."}, follow=True).content.decode()
    assert "Note sent. Agents read it if a next round begins." in page
    assert "queued, read if a next round begins" in page
    assert "next turn" not in page
    approve(made.approval, lead)
    assert "queued, read if a next round begins" in shown(made.task)


def test_a_note_to_one_step_is_read_by_that_step_alone(shown, project, requester):
    made = fixtures.running_task(project, requester)
    said = {"from": "person", "author": "Mira Ode", "text": "Round once."}
    made.task.record("message", said, step=made.steps["writer"])
    made.task.refresh_from_db()
    Attempt.objects.filter(step=made.steps["coder"]).update(seen_seq=made.task.last_seq)
    assert "queued, read before the next turn" in shown(made.task)


def test_a_note_nobody_read_says_so_when_the_task_is_over(shown, project, requester):
    made = fixtures.running_task(project, requester)
    notes.add_note(made.task, text="Keep refunds as they are.", by=requester)
    made.task.refresh_from_db()
    made.task.move(TaskState.CANCELLED, kind="task.finished")
    assert "not read, the task was over" in shown(made.task)


def test_what_was_said_on_the_way_to_a_tool_stands_back(shown, project, requester):
    made = fixtures.running_task(project, requester)
    coder = made.steps["coder"]
    fixtures.say(coder, "The last word.")
    page = shown(made.task, f"?agent={coder.pk}")
    stream = page.partition('id="stream"')[2]
    assert stream.count("stream-text tone-muted") == 1
    aside = stream.partition("stream-text tone-muted")[2].partition("</p>")[0]
    assert "The half-even cases fail" in aside
