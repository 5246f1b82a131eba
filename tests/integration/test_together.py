"""Lists that are read in one statement are those that are read in one each."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import BinaryField, DecimalField, DurationField, F, Value
from django.test.utils import CaptureQueriesContext

from agents.models import Attempt, Event, Proposal, Step, StepDependency, Task, ToolCall
from approvals.models import Approval, Policy
from memory.models import Memory, MemoryUse
from projects import across, together
from projects.models import User
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(project, requester, lead):
    made = fixtures.reviewed_task(project, requester, usd="0.004300", input_tokens=2**40)
    running = fixtures.running_task(project, requester)
    fixtures.say(running.steps["coder"], '“Half\u2011even”, \\ and "quoted"\n\tin two lines.')
    fixtures.use_lesson(fixtures.make_lesson(project, lead, tags=["a", "b, c"]), made)
    return made


def _values(row) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


def test_every_kind_of_row_is_the_same_either_way(made):
    models = (Task, Step, StepDependency, Attempt, ToolCall, Event, Proposal, Approval, Policy)
    for model in (*models, MemoryUse, User):
        rows = model.objects.order_by("pk")
        found = together.read({"rows": rows}).rows("rows")
        assert [_values(row) for row in found] == [_values(row) for row in rows], model
        assert found
        assert not found[0]._state.adding
    memory = together.read({"rows": Memory.objects.defer("search")}).rows("rows")[0]
    assert memory.tags == ["a", "b, c"]


def test_order_limit_fewer_columns_and_annotations_hold(made):
    tasks = Task.objects.order_by("-number")[:1]
    steps = Step.objects.filter(task=made.task).only("title").annotate(of=F("task__title"))
    asked = {"tasks": tasks, "steps": steps.order_by("-id"), "none": Task.objects.none()}
    with CaptureQueriesContext(connection) as queries:
        found = together.read(asked, {"two": across.counted(Task.objects.all(), 5)})
        titles = [step.title for step in found.rows("steps")]
    assert len(queries) == 1
    assert found.rows("tasks") == list(tasks)
    assert titles == [step.title for step in steps.order_by("-id")]
    assert {step.of for step in found.rows("steps")} == {made.task.title}
    assert "state" in found.rows("steps")[0].get_deferred_fields()
    assert (found.rows("none"), found.first("none"), found.number("two")) == ([], None, 2)
    assert together.read({}).rows("tasks") == []


def test_numbers_keep_every_digit_they_have(made):
    exact = Decimal("0.10000000000000000000000100")
    value = Value(exact, DecimalField(max_digits=40, decimal_places=26))
    rows = Attempt.objects.annotate(exact=value)
    for one in together.read({"rows": rows}).rows("rows"):
        assert str(one.exact) == str(exact)
        assert str(one.usd) == str(Attempt.objects.get(pk=one.pk).usd)


@pytest.mark.parametrize(
    "field", [BinaryField(), DurationField(), ArrayField(DecimalField()), ArrayField(BinaryField())]
)
def test_what_json_would_bend_is_refused(field):
    rows = Task.objects.annotate(bent=Value(None, field))
    with pytest.raises(TypeError, match=f"bent cannot .* {type(field).__name__}"):
        together.read({"rows": rows})
    with pytest.raises(TypeError, match="search cannot"):
        together.read({"rows": Memory.objects.all()})


def test_kept_rows_are_not_read_again(made, django_assert_num_queries):
    steps = list(Step.objects.filter(task=made.task))
    together.keep(made.task, "steps", steps)
    with django_assert_num_queries(0):
        assert list(made.task.steps.all()) == steps
        assert made.task.steps.count() == len(steps)
