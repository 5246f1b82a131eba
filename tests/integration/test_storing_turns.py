"""A finished turn is stored once, whatever becomes of the connections it is stored by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DataError, connection

from agents.models import Attempt, Event, ModelCall
from agents.runtime import checkpoints, ledger, turns
from agents.runtime.contract import Finished
from agents.runtime.database import THREADS, in_db
from agents.runtime.performing import perform
from memory import posting
from memory.working import WorkingMemory
from tests.integration import test_performing
from tests.integration.test_performing import report, worked
from tests.thinking_fixtures import make_step, make_work

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


async def test_a_limit_is_warned_of_once_in_an_attempt_and_never_for_a_lost_turn(task) -> None:
    work = await in_db(worked, task)
    progress = checkpoints.Progress(chain=(work.attempt.pk,))
    unpriced = turns.Save(work=work, progress=progress, turn=spoken("I look."))
    broken = turns.Save(work=work, progress=progress, turn=spoken("I look.", model="x" * 300))
    with pytest.raises(DataError):
        await in_db(turns.save, [broken])
    assert (progress.turns, progress.warned) == (0, set())
    assert await in_db(turns.save, [unpriced]) == [True]
    unheard = checkpoints.Progress(chain=(work.attempt.pk,))  # the commit's answer was lost
    assert await in_db(turns.save, [replace(unpriced, progress=unheard)]) == [True]
    assert unheard.warned == progress.warned == {"price"}
    for each in (progress, unheard):
        assert await in_db(turns.save, [replace(unpriced, progress=each)]) == [True]
    assert progress.turns == 2
    warned = Event.objects.filter(task=task, kind="limit.warned")
    assert [each.data["rule"] for each in await in_db(list, warned)] == ["price"]


async def test_what_an_agent_says_follows_its_own_last_word(task) -> None:
    coder = await in_db(worked, task)
    tester = await in_db(lambda: make_work(make_step(task, "tester", key="test")))
    calls = {id(work): checkpoints.Progress(chain=(work.attempt.pk,)) for work in (coder, tester)}
    for work, text in ((coder, "One."), (tester, "Two."), (coder, "Three."), (tester, "Four.")):
        refusal = ledger.refused(work, calls[id(work)].turns, f"{text}", "run_checks", {})
        turn = replace(spoken(text), refused=(refusal,))
        await in_db(turns.save, [turns.Save(work=work, progress=calls[id(work)], turn=turn)])
    for slug, said in (("coder", ["One.", "Three."]), ("tester", ["Two.", "Four."])):
        events = Event.objects.filter(task=task, step__agent__slug=slug)
        last = (await in_db(events.exclude(kind="limit.warned").latest, "seq")).seq
        assert posting.flush()
        memory = WorkingMemory(task.pk, slug)
        chain = memory.read_chain(rebuild=lambda: pytest.fail("Redis has it"), last_seq=last)
        assert [each["text"] for each in chain if each["kind"] == "message"] == said
        assert [each["kind"] for each in chain] == ["message", "tool.finished"] * 2


def spoken(text: str, **facts: Any) -> checkpoints.Turn:
    given: dict[str, Any] = {"model": "stub", "input_tokens": 9, "output_tokens": 9, "usd": None}
    took = checkpoints.Took(began=0.0, ended=1.0)
    return checkpoints.Turn(messages=[], text=text, paid=True, took=took, **{**given, **facts})


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
