"""What is spelled once reads and writes what Django would have, row by row and thread by thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from django.db import DataError, connection, transaction
from django.db.models.functions import Now
from django.db.transaction import TransactionManagementError
from django.forms import model_to_dict

from agents.models import Attempt, Event, ModelProfile, Step, StepDependency, Task
from projects.connections import sent_together
from projects.inserting import insert_all
from projects.prepared import Given, Prepared
from tests import runtime_fixtures
from tests.runtime_fixtures import plan_step, planned

if TYPE_CHECKING:
    from django.db.models import Model

pytestmark = pytest.mark.django_db(transaction=True)
agents = runtime_fixtures.agents
task = runtime_fixtures.task


@pytest.fixture
def steps(task) -> list[Step]:
    planned(task, plan_step("a"), plan_step("b", "tester", "a"))
    return list(Step.objects.order_by("pk"))


def columns(row: Model) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


def test_models_are_read_with_what_is_joined_and_without_what_is_deferred(steps):
    def made():
        found = Step.objects.select_related("agent", "task__project").defer("instructions")
        return found.filter(pk__any=Given("steps")).order_by("pk")

    read = Prepared(made)
    for wanted in (steps, steps[:1], []):
        ids = [step.pk for step in wanted]
        expected = list(
            Step.objects.select_related("agent", "task__project")
            .defer("instructions")
            .filter(pk__in=ids)
            .order_by("pk")
        )
        found = read(steps=ids)
        assert [columns(row) for row in found] == [columns(row) for row in expected]
        assert [model_to_dict(row.task.project) for row in found] == [
            model_to_dict(row.task.project) for row in expected
        ]
        assert all(row.get_deferred_fields() == {"instructions"} for row in found)


def test_columns_and_single_values_are_read(steps):
    edges = Prepared(
        lambda: StepDependency.objects.filter(step__any=Given("steps")).values_list("step", "needs")
    )
    keys = Prepared(lambda: Step.objects.order_by("pk").values_list("key", flat=True)[:2])
    ids = [step.pk for step in steps]
    assert sorted(edges(steps=ids)) == sorted(StepDependency.objects.values_list("step", "needs"))
    assert keys() == [step.key for step in steps[:2]]


def test_rows_are_locked_inside_a_transaction_only(task):
    locked = Prepared(lambda: Task.objects.select_for_update().filter(pk__any=Given("tasks")))
    with transaction.atomic():
        assert locked(tasks=[task.pk]) == [task]
    with pytest.raises(TransactionManagementError):
        locked(tasks=[task.pk])


def test_threads_that_spell_it_at_once_read_their_own_rows(steps):
    def read(step: Step) -> bool:
        try:
            return all(by_key(keys=[step.key]) == [step] for _ in range(50))
        finally:
            connection.close()

    by_key = Prepared(lambda: Step.objects.filter(key__any=Given("keys")))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, [*steps, *steps]))


def test_rows_are_inserted_as_django_would_and_know_their_times(steps):
    attempts = [Attempt(step=step, number=9, worker="w", model="m") for step in steps]
    assert insert_all(attempts) == attempts
    for attempt in attempts:
        assert columns(Attempt.objects.get(pk=attempt.pk)) == columns(attempt)
        assert not attempt._state.adding


def test_what_is_too_long_is_refused_and_not_cut_off(steps):
    with pytest.raises(DataError), transaction.atomic():
        insert_all([Attempt(step=steps[0], number=9, worker="w" * 500)])


def test_a_model_that_leaves_more_to_the_database_is_refused(task):
    with pytest.raises(TypeError, match="Event has other defaults"):
        insert_all([Event(task=task, seq=99, kind="message", data={})])


def test_an_expression_in_a_row_is_refused(steps):
    with pytest.raises(TypeError, match="finished_at"):
        insert_all([Attempt(step=steps[0], number=9, worker="w", finished_at=Now())])


def test_a_model_with_a_column_of_arrays_is_refused(db):
    with pytest.raises(TypeError, match="ModelProfile"):
        insert_all([ModelProfile(name="m", model="test")])


def test_what_is_sent_together_is_read_after_it_and_the_first_fault_is_told(steps):
    read = Prepared(lambda: Step.objects.filter(pk__any=Given("steps")).order_by("pk"))
    ids = [step.pk for step in steps]
    with transaction.atomic():
        with sent_together():
            asked = [read.ask(steps=ids), read.ask(steps=ids[:1]), read.ask(steps=[])]
        assert [reading() for reading in asked] == [steps, steps[:1], []]

    def fail() -> None:
        with transaction.atomic(), sent_together(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM agents_stepdependency")
            cursor.execute("SELECT 1 / 0")
            cursor.execute("SELECT nothing")

    with pytest.raises(DataError, match="division by zero"):
        fail()
    assert StepDependency.objects.exists()
