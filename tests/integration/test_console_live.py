"""What the task page is given while it follows: rows by cursor, focus, goals, counts."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from agents.models import Claim, Step
from countersign.console import focus, goals, task_rows, timeline
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(project, requester, lead):
    return fixtures.running_task(project, requester)


@pytest.fixture
def get(made, requester):
    client = Client()
    client.force_login(requester)
    base = f"/tasks/T-{made.task.number}"
    return lambda path: client.get(base + path).content.decode()


def seqs(text: str) -> list[int]:
    return [int(seq) for seq in re.findall(r'<li class="event[^>]*data-seq="(\d+)"', text)]


def say(made, count: int) -> None:
    for number in range(count):
        fixtures.say(made.steps["coder"], str(number))


def test_a_live_answer_holds_only_the_events_after_the_cursor(made, get):
    say(made, 5)
    last = made.task.last_seq
    assert seqs(get(f"/live?tab=events&after={last - 3}")) == [last - 2, last - 1, last]
    assert seqs(get(f"/live?tab=events&after={last}")) == []


def test_too_large_a_gap_gets_the_list_anew(made, get):
    say(made, timeline.ROWS_AT_MOST + 5)
    last, first = made.task.last_seq, made.task.last_seq - timeline.ROWS_AT_MOST
    assert len(seqs(get(f"/live?tab=events&after={first}"))) == timeline.ROWS_AT_MOST
    anew = [*range(last - timeline.EVENTS_AT_ONCE + 1, last + 1)]
    assert seqs(get(f"/live?tab=events&after={first - 1}")) == anew


@pytest.mark.parametrize("after", ["", "x", "-1", "²", "9" * 40])
def test_a_cursor_that_is_none_gets_the_list_anew(made, get, after):
    assert seqs(get(f"/live?tab=events&after={after}"))[-1] == made.task.last_seq


def test_earlier_events_end_where_the_page_begins(made, get):
    assert seqs(get("/earlier?before=4")) == [1, 2, 3]
    assert seqs(get("/earlier?before=1")) == []
    assert seqs(get("/earlier")) == []


def test_a_stranger_gets_no_earlier_events(made, stranger):
    client = Client()
    client.force_login(stranger)
    assert client.get(f"/tasks/T-{made.task.number}/earlier?before=9").status_code == 404


def test_the_pane_keeps_who_it_follows_while_that_agent_works(made):
    coder, writer = made.steps["coder"], made.steps["writer"]
    steps = list(Step.objects.filter(task=made.task))
    assert focus.focus_of(steps, {}) == writer  # the last to do something
    assert focus.focus_of(steps, {"focus": str(coder.pk)}) == coder
    assert focus.focus_of(steps, {"focus": str(coder.pk), "agent": str(writer.pk)}) == writer
    route = made.steps["route"]
    assert focus.focus_of(steps, {"focus": str(route.pk)}) == writer  # it is done
    assert focus.focus_of(steps, {"agent": str(route.pk)}) == route


def test_errors_are_counted_as_they_are_listed(made):
    steps = list(Step.objects.filter(task=made.task))
    rows = timeline.by_event(timeline.errors(made.task), steps)
    assert task_rows.read(made.task, made.task.requester, calls=False).errors == len(rows) == 1
    assert all(row.said.tone in {"bad", "warn"} for row in rows)


def test_a_goal_is_verified_only_by_our_own_check(project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    Step.objects.filter(task=made.task, kind="work").update(acceptance="It holds.")
    steps = list(Step.objects.filter(task=made.task, kind="work").order_by("id"))

    def words() -> list[str]:
        return [goal.look.word for goal in goals.goals_of(steps, made.proposal)]

    code, test, docs, checks = words()
    assert code == "2 of 3 claims proven"
    assert test == "done, not verified yet"
    assert docs.startswith("contradicted: ")
    assert checks == "14 pass"
    Claim.objects.filter(verdict="not_checkable").delete()
    assert words()[0] == "proven: 14 pass, our run, and 1 more"
    verified = [goal.verified for goal in goals.goals_of(steps, made.proposal)]
    assert verified == [True, False, False, True]
    assert not any(goal.verified for goal in goals.goals_of(steps, None))
