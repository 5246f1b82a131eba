"""Of the last call and the last answer whichever comes last lets the asker go on: once, never not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from agents.finishing import settle
from agents.messages import Answer
from agents.models import Delegation, Step, ToolCall
from agents.runtime.contract import Finished
from approvals.calls import carrying
from tests.call_fixtures import decided
from tests.nested_fixtures import Nested, breaches, nest
from tests.waiting_locks import until_somebody_waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.models import Attempt
    from projects.models import User

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 24


def answer(attempt: Attempt) -> bool:
    return settle(attempt, Finished(Answer(status="answered", answer="Half up.")))


def refuse(nested: Nested, name: str, by: User) -> None:
    decided(nested.rows[name], by, "refuse", note="Not this one.")


def closing(work: Callable[[], object]) -> object:
    try:
        return work()
    finally:
        connection.close()


def went_on_once(nested: Nested) -> None:
    assert nested.states() == ("ready", 0, "working")
    assert nested.went_on() == 1
    assert Delegation.objects.get(asker=nested.asker).state == "answered"
    calls = ToolCall.objects.filter(attempt__step=nested.asker, state__in=["waiting", "asked"])
    assert not calls.exists()


def test_at_the_same_moment_it_goes_on_once(tool, project, requester, lead):
    for _ in range(ROUNDS):
        nested = nest(project, requester, inner="")
        attempt, start = nested.claimed(), Barrier(3)
        works = [
            lambda: answer(attempt),  # noqa: B023
            lambda: refuse(nested, "A", lead),  # noqa: B023
            lambda: refuse(nested, "B", lead),  # noqa: B023
        ]

        def run(work: Callable[[], object]) -> object:
            start.wait(10)  # noqa: B023
            return closing(work)

        with ThreadPoolExecutor(len(works)) as pool:
            assert next(iter(pool.map(run, works))) is True
        went_on_once(nested)
        Step.objects.filter(pk=nested.asker.pk).update(state="cancelled")
    assert [name for name, _ in breaches()] in ([], ["task-stuck"])


@pytest.mark.parametrize("answer_first", [True, False])
def test_queued_behind_one_lock_in_either_order_it_goes_on_once(
    tool, project, requester, lead, answer_first
):
    nested = nest(project, requester, calls="A", inner="")
    attempt = nested.claimed()
    works = [lambda: answer(attempt), lambda: refuse(nested, "A", lead)]
    if not answer_first:
        works.reverse()
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            Step.objects.select_for_update(no_key=True).get(pk=nested.asker.pk)
            running = []
            for count, work in enumerate(works, 1):
                running.append(pool.submit(closing, work))
                until_somebody_waits(count)
        for each in running:
            each.result(30)
    went_on_once(nested)
    assert breaches() == []


def test_the_effects_worker_and_the_answer_at_once(tool, server, project, requester, lead):
    for _ in range(ROUNDS // 4):
        nested = nest(project, requester, calls="A", inner="")
        attempt, start = nested.claimed(), Barrier(3)
        decided(nested.rows["A"], lead)
        works = [lambda: answer(attempt), *[lambda: carrying.make_due("effects")] * 2]  # noqa: B023

        def run(work: Callable[[], object]) -> object:
            start.wait(10)  # noqa: B023
            return closing(work)

        with ThreadPoolExecutor(len(works)) as pool:
            list(pool.map(run, works))
        went_on_once(nested)
        Step.objects.filter(pk=nested.asker.pk).update(state="cancelled")
        assert [key for key, _ in server.calls].count(str(nested.rows["A"].pk)) == 1
