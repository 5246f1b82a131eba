"""Many finish at once: each dependent becomes ready exactly once, also while steps are added."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from agents import fan_in
from agents.finishing import settle
from agents.lifecycle import StepState
from agents.messages import ExtraStep, StepResult
from agents.models import Event, Step, StepDependency, Task
from agents.runtime.claims import claim
from agents.runtime.contract import Finished
from tests import runtime_fixtures
from tests.runtime_fixtures import plan_step, planned

if TYPE_CHECKING:
    from collections.abc import Callable

agents = runtime_fixtures.agents
task = runtime_fixtures.task
pytestmark = pytest.mark.django_db(transaction=True)

GROUPS, DEPENDENCIES, THREADS = 200, 8, 12


def at_once(jobs: list[Callable[[], object]], threads: int = THREADS) -> None:
    """Do all jobs from many threads, in order of the list; an error of one fails the test."""
    left: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    errors: list[BaseException] = []
    for job in jobs:
        left.put(job)

    def work() -> None:
        try:
            with connection.cursor() as cursor:
                # What is tested are the locks; a disk as busy as a test machine's is not.
                cursor.execute("SET synchronous_commit TO off")
            while True:
                left.get_nowait()()
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)
        finally:
            connection.close()

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(120)
    assert errors == []


def test_every_group_becomes_ready_once_though_each_finish_is_delivered_twice(task, agents):
    """The naive check "are all my siblings done?" left 151 of 200 groups stuck for ever."""
    version = agents["coder"].published()
    facts = {"task": task, "project_id": task.project_id, "agent": agents["coder"]}
    facts["version"] = version
    lasts = [Step(**facts, key=f"last-{n}", waits=DEPENDENCIES) for n in range(GROUPS)]
    ones = {
        last.key: [Step(**facts, key=f"{last.key}-{m}", state="ready") for m in range(DEPENDENCIES)]
        for last in lasts
    }
    Step.objects.bulk_create([*lasts, *(one for group in ones.values() for one in group)])
    StepDependency.objects.bulk_create(
        StepDependency(step=last, needs=one) for last in lasts for one in ones[last.key]
    )

    def finish(one: Step) -> None:
        with transaction.atomic():
            step, dependents = fan_in.lock(one.pk)
            if step.state == "ready":  # read under its lock, as the fence of an attempt is
                Step.objects.filter(pk=step.pk).update(state="done")
                fan_in.count_down(dependents)

    # Column by column, so that the last ones of many groups meet.
    order = [ones[last.key][m] for m in range(DEPENDENCIES) for last in lasts]
    at_once([lambda one=one: finish(one) for one in order for _ in "ab"])
    found = Step.objects.filter(pk__in=[last.pk for last in lasts])
    assert set(found.values_list("state", "waits")) == {("ready", 0)}
    became = Event.objects.filter(step__in=found, data__state=StepState.READY)
    assert became.count() == GROUPS
    assert became.values("step").distinct().count() == GROUPS


def test_steps_added_while_others_finish_make_the_proposal_ready_once(task):
    """Every step adds one of its own while its siblings finish: none may be overtaken."""
    planned(task, *(plan_step(f"s{n}") for n in range(4)))
    Task.objects.update(limits={**task.limits, "steps": 8})
    running = claim("worker-a", limit=4)

    def finish(one, *extras):
        message = StepResult(status="done", summary="Did it.", extra_steps=extras)
        return settle(one.attempt, Finished(message))

    def more(key: str) -> ExtraStep:
        return ExtraStep(id=f"{key}-more", agent="tester", title="More", instructions="Go.")

    at_once([lambda one=one: finish(one, more(one.step.key)) for one in running for _ in "ab"], 8)
    last = Step.objects.get(key="assemble")
    assert (last.state, last.waits) == ("waiting", 4)
    added = claim("worker-a", limit=9)
    assert len(added) == 4
    at_once([lambda one=one: finish(one) for one in added for _ in "ab"], 8)
    last.refresh_from_db()
    assert (last.state, last.waits) == ("ready", 0)
    assert Event.objects.filter(step=last, data__state="ready").count() == 1
