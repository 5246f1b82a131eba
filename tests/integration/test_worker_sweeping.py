"""What no transaction should leave behind is found all the same: stuck tasks, left folders."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, connections

from agents import fan_in
from agents.finishing import settle
from agents.models import Escalation, Event, Step
from agents.runtime import database, sweeping
from agents.runtime.contract import Finished
from tests import runtime_fixtures
from tests.runtime_fixtures import claim_one, plan_step, planned, result, state_of, states

agents = runtime_fixtures.agents
task = runtime_fixtures.task


@pytest.fixture
def quiet(monkeypatch):
    """Let a task count as still as soon as nothing moves."""
    monkeypatch.setattr(sweeping, "_QUIET", timedelta(0))


def test_moving_task_is_left_alone(task, quiet):
    assert sweeping.help_stuck_tasks() == 0


def test_task_heard_of_lately_is_left_alone(task):
    planned(task, plan_step("a"))
    Step.objects.filter(key="a").update(state="waiting", waits=1)
    assert sweeping.help_stuck_tasks() == 0


def test_wrong_counter_is_counted_anew(task, quiet):
    planned(task, plan_step("a"))
    settle(claim_one().attempt, Finished(result()))
    Step.objects.filter(key="assemble").update(state="waiting", waits=1)
    assert sweeping.help_stuck_tasks() == 1
    assert states(task)["assemble"] == "ready"
    assert state_of(task) == "working"


def test_task_that_cannot_go_on_is_given_to_a_person(task, quiet):
    planned(task, plan_step("a"))
    Step.objects.filter(key="a").update(state="cancelled")
    assert sweeping.help_stuck_tasks() == 1
    assert (state_of(task), Escalation.objects.get().rule) == ("needs_human", "fault")
    assert sweeping.help_stuck_tasks() == 0


def test_recount_leaves_right_counters_alone(task):
    planned(task, plan_step("a"), plan_step("b", "tester", "a"))
    before = Event.objects.count()
    assert fan_in.recount(task) == 0
    assert Event.objects.count() == before


@pytest.mark.django_db(transaction=True)
async def test_only_folders_of_running_attempts_stay(task, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    step = (await database.in_db(claim_one)).step
    root = tmp_path / "workspaces" / str(step.task_id)
    for name in (f"{step.pk}.1", f"{step.pk}.0", f"{uuid.uuid4()}.1", "notes-of-an-admin"):
        (root / name).mkdir(parents=True)
    (root / f"{step.pk}.0.json").write_text("[]")
    (root / f"{step.pk}.0.draft").write_text("half a file")
    over, fresh = root.with_name(str(uuid.uuid4())), root.with_name(str(uuid.uuid4()))
    over.mkdir()
    os.utime(over, (0, 0))
    fresh.mkdir()
    await sweeping.remove_leftovers()
    assert sorted(path.name for path in root.iterdir()) == [f"{step.pk}.1", "notes-of-an-admin"]
    assert (over.exists(), fresh.exists()) == (False, True)


@pytest.mark.django_db(transaction=True)
async def test_database_thread_heals_a_connection_the_server_dropped(task):
    def number() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), pg_sleep(0.05)")
            return int(cursor.fetchone()[0])

    pids = set(await asyncio.gather(*(database.in_db(number) for _ in range(16))))
    assert len(pids) == database.THREADS

    def end_all() -> None:
        with connections["default"].cursor() as cursor:
            others = [pid for pid in pids if pid != number()]
            cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", [others])

    await database.in_db(end_all)
    failed = 0
    for _ in range(12):
        try:
            await database.in_db(number)
        except DatabaseError:  # the first use of each dropped connection
            failed += 1
    assert failed <= database.THREADS
    assert await database.in_db(lambda: Step.objects.count()) == 1
