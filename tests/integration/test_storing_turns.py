"""A finished turn is stored once, whatever becomes of the connections it is stored by."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from agents.models import Attempt, Event, ModelCall
from agents.runtime import checkpoints, turns
from agents.runtime.contract import Finished
from agents.runtime.database import THREADS, in_db
from agents.runtime.performing import perform
from tests.integration import test_performing
from tests.integration.test_performing import report, worked

if TYPE_CHECKING:
    import uuid

    from agents.models import Task
    from tests.stub_model import Reply

pytestmark = pytest.mark.django_db(transaction=True)
task = test_performing.task
served = test_performing.served


async def test_a_paid_answer_is_stored_once_although_every_connection_breaks(task, served) -> None:
    work = await in_db(worked, task)
    # One for each database thread: none is free before all are taken.
    ours = await asyncio.gather(*(in_db(backend) for _ in range(THREADS)))

    def script(_) -> Reply:
        broken.extend(end(ours))  # while the model speaks, so that storing its answer meets it
        return report({"status": "done", "summary": "Found it."})

    broken: list[bool] = []
    server = served(script)
    assert isinstance(await perform(work), Finished)
    assert len(server.requests) == 1
    assert broken == [True] * THREADS
    attempt, paid = await asyncio.to_thread(kept, work.attempt.pk)
    assert (attempt.turns, attempt.input_tokens, paid.model_calls) == (1, 100, 1)


async def test_a_turn_whose_commit_nobody_heard_of_is_not_stored_twice(task, served) -> None:
    server = served(report({"status": "done", "summary": "Found it."}))
    work = await in_db(worked, task)
    assert isinstance(await perform(work), Finished)
    stored = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    turn = checkpoints.Turn(
        messages=[],
        text="Again.",
        model="",
        input_tokens=9,
        output_tokens=9,
        usd=None,
        paid=True,
        took=checkpoints.Took(began=0.0, ended=1.0),
    )
    progress = checkpoints.Progress(chain=(work.attempt.pk,))
    again = turns.Save(work=work, progress=progress, turn=turn)
    assert await in_db(turns.save, [again]) == [True]
    now = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    assert (now.turns, now.input_tokens) == (stored.turns, stored.input_tokens)
    assert (progress.turns, len(server.requests)) == (1, 1)
    assert not await in_db(Event.objects.filter(data__text="Again.").exists)
    assert await in_db(ModelCall.objects.filter(attempt=work.attempt).count) == 1


def kept(pk: uuid.UUID) -> tuple[Attempt, Task]:
    """Read by a connection of one's own: a database thread may not know yet that its is gone."""
    try:
        attempt = Attempt.objects.select_related("step__task").get(pk=pk)
        return attempt, attempt.step.task
    finally:
        connection.close()


def backend() -> int:
    """Return the server process of this thread's connection, some time later."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() FROM pg_sleep(0.3)")
        return cursor.fetchone()[0]


def end(pids: list[int]) -> list[bool]:
    """End connections, by one of our own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) pid", [pids])
        ended = [row[0] for row in cursor.fetchall()]
    connection.close()
    return ended
