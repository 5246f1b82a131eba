"""The first rows over many projects are the same whether all that may be first are looked at, or few."""

from __future__ import annotations

import random
from typing import Any

import pytest

from agents.limits import Limits
from agents.models import Task
from approvals.models import Approval
from projects import cutoff
from projects.across import Across
from projects.keyset import Order, Place, page
from projects.models import Project

pytestmark = pytest.mark.django_db
MANY, LIMIT = 30, 26
NEWEST, OLDEST = Order(), Order(newest_first=False)
BY_TIME = Order(moment="created_at")
DUE = Order(moment="created_at", rank="priority", newest_first=False)


@pytest.fixture
def tasks(requester) -> list[Task]:
    """Make tasks of many projects, of which one has most and some have none."""
    projects = Project.objects.bulk_create(
        Project(slug=f"p-{n}", name=f"acme/{n:02}", repository="/nowhere.git") for n in range(MANY)
    )
    luck = random.Random(7)  # noqa: S311  # the same each time
    where = [projects[0]] * 40 + luck.choices(projects[1:-5], k=60)
    luck.shuffle(where)
    return Task.objects.bulk_create(
        Task(
            project=each,
            requester=requester,
            title=str(n),
            number=9_000 + n,
            limits=Limits().as_json(),
            request_digest="0" * 64,
            priority=luck.choice([-1, 0, 1]),
            state=luck.choice(["queued", "working"]),
        )
        for n, each in enumerate(where)
    )


def _as_they_are(rows: Any) -> Any:
    return rows


def _listed(**facts: Any) -> Across:
    projects = tuple(Project.objects.order_by("pk").values_list("pk", flat=True))
    return Across(rows=Task.objects.exclude(title="3"), projects=projects, **facts)


@pytest.mark.parametrize("order", [NEWEST, OLDEST, BY_TIME, DUE])
@pytest.mark.parametrize("states", [(), ("queued", "working")])
@pytest.mark.parametrize("limit", [1, LIMIT, 99, 120])
def test_the_first_of_many_projects_are_the_first(tasks, order, states, limit):
    same = [task.pk for task in tasks[::3]]  # moment
    Task.objects.filter(pk__in=same).update(created_at=tasks[50].created_at)
    listed = _listed(states=states)
    expected = list(listed.rows.order_by(*order.fields()))
    assert listed.first(_as_they_are, order.fields(), limit) == expected[:limit]
    middle = Place.of(order, {"before": order.place(expected[60])})
    found = page(listed, _as_they_are, order=order, place=middle, limit=20)
    assert found.rows == expected[40:60]


@pytest.mark.parametrize("order", [NEWEST, OLDEST])
def test_no_row_is_missed_where_each_project_has_one(tasks, order):
    first = {task.project_id: task.pk for task in tasks}
    Task.objects.exclude(pk__in=first.values()).update(title="3")
    expected = list(_listed().rows.order_by(*order.fields()))
    for limit in (20, 24, len(expected), len(expected) + 9):
        assert _listed().first(_as_they_are, order.fields(), limit) == expected[:limit]


def test_few_of_each_are_looked_at_only_where_that_is_less(tasks):
    assert (cutoff.share(26, 40), cutoff.share(26, 160), cutoff.share(26, 7)) == (2, 1, 0)
    text, _ = _listed()._merged("c0", ("id",), ("id",), ("one_row.c0 ASC",), LIMIT)
    assert "LIMIT 2)" in text
    assert "OFFSET 25" in text


def test_of_a_list_that_was_narrowed_all_are_looked_at(tasks):
    asked = ("c0", ("id",), ("id",), ("one_row.c0 ASC",), LIMIT)
    assert "OFFSET" in _listed()._merged(*asked)[0]
    assert "OFFSET" not in _listed().filter(state="queued")._merged(*asked)[0]


def test_of_an_order_whose_end_is_not_known_all_are_looked_at():
    assert cutoff.behind_all(Task, ["id", "title"]) is None


def test_a_column_of_another_size_or_that_may_be_null_cuts_nothing():
    assert cutoff.behind_all(Task, ("priority", "id"))
    assert cutoff.behind_all(Task, ("number", "id")) is None
    assert cutoff.behind_all(Approval, ("-decided_at", "-id")) is None
