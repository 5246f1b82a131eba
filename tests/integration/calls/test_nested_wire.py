"""An agent pays, asks another and pays again in one answer, and the other pays, too: the whole runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agents.models import Delegation, Event, Grant, Step, Task, ToolCall
from agents.models.tools import Asks
from agents.runtime.database import in_db
from approvals.calls import carrying
from tests.approval_fixtures import make_agent
from tests.call_fixtures import decided, make_tool
from tests.integration import test_asking_wire as wire
from tests.integration.calls import test_calls_wire as paying
from tests.stub_model import Reply, Request
from tests.worker_fixtures import Workers, until

if TYPE_CHECKING:
    import subprocess

    from approvals.models import CallApproval

pytestmark = pytest.mark.django_db(transaction=True)

task = wire.task
served = wire.served

BESIDE = [paying.pay("A"), wire.ask("tester"), wire.NEW, paying.pay("B")]


@pytest.fixture
def asking(task, server, lead) -> Task:
    """Return a task whose coder and tester may pay, once a person allows it.

    Who answers may use only what says that it only reads.
    """
    tool = make_tool(server.url, read_only=True, asks=Asks.ALWAYS)
    Grant.objects.create(agent=make_agent("tester", "Test agent"), tool=tool)
    return task


def pays_and_asks(request: Request) -> Reply:
    if request.turn == 0:
        return Reply(text="I pay and ask.", calls=BESIDE)
    return wire.report(summary=" | ".join(request.results))


def pays_and_answers(request: Request) -> Reply:
    if request.turn == 0:
        return Reply(text="I pay first.", calls=[paying.pay("C")])
    return wire.answer(request.results[0].splitlines()[-1])


def all_wait() -> dict[str, CallApproval] | None:
    """Return the pending calls by invoice, once there are three."""
    found = paying.waiting()
    return found if len(found) == 3 else None


def decide(row: CallApproval, lead, invoice: str) -> None:
    if invoice == "B":
        decided(row, lead, "refuse", note="Not this one.")
    elif invoice == "C":
        decided(row, lead, edited='{"invoice": "C-1", "cents": 900}')
    else:
        decided(row, lead)


def check(asking: Task, server, model) -> None:
    """Each was answered as it was decided, and every turn was paid once."""
    step = Step.objects.get(task=asking, key="do-coder")
    told = step.result["summary"]
    assert "Paid A." in told
    assert "Paid C-1." in told
    assert "Their reason: Not this one." in told
    assert len({key for key, _ in server.calls}) == len(server.calls) == 2
    attempts = list(step.attempts.order_by("number").values_list("state", flat=True))
    assert (attempts[0], attempts[-1]) == ("asking", "finished")
    ready = Event.objects.filter(step=step, data__state="ready", data__why="answered")
    by_answer = Event.objects.filter(step=step, data__state="ready", data__why=None)
    assert ready.count() + by_answer.count() == 1
    calls = ToolCall.objects.filter(attempt__step=step).order_by("id")
    found = list(calls.values_list("tool", "arguments__invoice", "state"))
    assert found == [
        ("pay__pay", "A", "done"),
        ("ask_agent", None, "done"),
        ("pay__pay", "B", "refused"),
        ("write_file", None, "done"),  # in the order it was meant: after the answer
    ]
    assert Delegation.objects.get().state == "answered"
    thought = [one for one in model.requests if {"report_result", "give_answer"} & set(one.tools)]
    assert len(thought) == 4


@pytest.mark.parametrize("order", ["BCA", "CAB"])
async def test_three_calls_wait_beside_each_other_and_are_decided_in_any_order(
    asking, server, served, lead, order
):
    model = served(wire.script(pays_and_asks, pays_and_answers))
    async with wire.running():
        await paying.until(all_wait)
        asked = await in_db(all_wait)
        states = await in_db(lambda: dict(asking.steps.values_list("key", "state")))
        assert (states["do-coder"], states["asked-1"]) == ("waiting_human", "waiting_human")
        assert await in_db(lambda: Task.objects.get(pk=asking.pk).state) == "needs_human"
        for invoice in order:
            await in_db(decide, asked[invoice], lead, invoice)
            await in_db(carrying.make_due, "effects")
        await paying.until(lambda: paying.step_of(asking).state == "done")
    await in_db(check, asking, server, model)


def test_workers_killed_while_they_wait_lose_and_repeat_nothing(
    asking, server, served, lead, tmp_path, settings
):
    model = served(wire.script(pays_and_asks, pays_and_answers))
    environment = {
        "COUNTERSIGN_MODEL": "openai:stub",
        "OPENAI_API_KEY": "sk-test-0123456789",
        "OPENAI_BASE_URL": settings.OPENAI_BASE_URL,
    }
    with Workers(tmp_path, **environment) as workers:
        first = workers.start("first")
        until(all_wait, 90)
        asked = all_wait() or {}
        _kill(first)
        for invoice in "BC":
            decide(asked[invoice], lead, invoice)
        assert carrying.make_due("effects") == 1
        second = workers.start("second")
        until(lambda: Delegation.objects.get().state == "answered", 90)
        assert paying.parked(asking)
        _kill(second)
        decide(asked["A"], lead, "A")
        assert carrying.make_due("effects") == 1
        workers.start("third")
        until(lambda: paying.step_of(asking).state == "done", 90)
    check(asking, server, model)


def _kill(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait(10)
