"""Work that comes together is done together; what is wrong with one is that one's alone."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError, connection

from agents.intake import submit
from agents.models import Task
from agents.runtime.batching import Together
from agents.runtime.claims import take_and_open
from tests import runtime_fixtures

pytestmark = pytest.mark.django_db(transaction=True)
agents = runtime_fixtures.agents


@pytest.mark.parametrize("error", [OperationalError("deadlock detected"), ValueError("odd")])
async def test_an_error_of_one_spoils_no_other(error: Exception) -> None:
    seen: list[list[str]] = []

    def many(items: list[str]) -> list[str | Exception]:
        connection.ensure_connection()
        seen.append(items)
        if "bad" in items:
            raise error
        return [item.upper() for item in items]

    together = Together(many)
    names = ["first", "a", "bad", "b"]
    results = await asyncio.gather(*(together(name) for name in names), return_exceptions=True)
    assert results == ["FIRST", "A", error, "B"]
    assert max(map(len, seen)) > 1


def test_steps_that_cannot_be_opened_count_as_taken(agents, project, requester) -> None:
    tasks = [
        submit(project=project, requester=requester, request=f"Fix {number}").task
        for number in range(3)
    ]
    Task.objects.filter(pk=tasks[0].pk).update(input_tokens=10**9)
    taken, opened = take_and_open("worker-a", limit=2)
    assert (taken, len(opened)) == (2, 1)
    taken, opened = take_and_open("worker-a", limit=2)
    assert (taken, len(opened)) == (1, 1)
