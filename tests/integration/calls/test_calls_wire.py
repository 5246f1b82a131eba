"""Agents ask to use a tool outside: the whole runtime, a real tool server, a person in between."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from agents.escalations import resolve
from agents.lifecycle import StepState
from agents.models import Escalation, Step, Task, Tool, ToolCall
from agents.runtime.database import in_db
from approvals.calls import carrying, sealing
from approvals.models import CallApproval
from tests.call_fixtures import decided, make_tool
from tests.integration import test_asking_wire as wire
from tests.stub_model import Call, Reply, Request
from tests.worker_fixtures import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)

task = wire.task
served = wire.served


def pay(invoice: str, cents: int = 900) -> Call:
    return Call("pay__pay", {"invoice": invoice, "cents": cents})


@pytest.fixture
def tool(task, server) -> Tool:
    return make_tool(server.url)


@pytest.fixture
def asking(task, tool, lead) -> Task:
    """Return a task whose coder may pay, once a person allows it."""
    return task


def paying(*calls: Call) -> Callable[[Request], Reply]:
    """Make these calls in one answer; then report what came of them."""

    def work(request: Request) -> Reply:
        if request.turn == 0:
            return Reply(text="I pay now.", calls=list(calls))
        return wire.report(summary=" | ".join(request.results))

    return wire.script(work, work)


async def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not await in_db(condition):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


def step_of(task: Task) -> Step:
    return Step.objects.get(task=task, key="do-coder")


def parked(task: Task) -> bool:
    found = Step.objects.filter(task=task, key="do-coder", state=StepState.WAITING_HUMAN)
    return found.exists()


def waiting() -> dict[str, CallApproval]:
    """Seal what waits; return the pending calls by invoice."""
    sealing.seal_waiting()
    return {row.original["invoice"]: row for row in CallApproval.objects.filter(state="pending")}


def said(task: Task) -> str:
    return str((step_of(task).result or {}).get("summary", ""))


async def test_two_calls_are_decided_in_reverse_order_and_the_rest_ran(
    asking, server, served, lead
):
    model = served(paying(pay("A"), wire.READ, pay("B")))
    async with wire.running():
        await until(lambda: parked(asking))
        asked = await in_db(waiting)
        rows = ToolCall.objects.values_list("arguments__invoice", "state")
        states = await in_db(lambda: dict(rows))
        assert states == {"A": "asked", "B": "asked", None: "failed"}
        await in_db(decided, asked["B"], lead)
        assert await in_db(carrying.make_due, "effects") == 1
        assert await in_db(parked, asking)
        await in_db(decided, asked["A"], lead, "refuse", note="Not this one.")
        await until(lambda: step_of(asking).state == "done")
    told = await in_db(said, asking)
    assert "Dana Kim refused this call; nothing was called. Their reason: Not this one." in told
    assert "Paid B." in told
    assert [key for key, _ in server.calls] == [str(asked["B"].pk)]
    assert any("pay__pay" in request.tools for request in model.requests)


async def test_a_report_beside_a_refused_call_is_not_taken(asking, server, served, lead):
    def work(request: Request) -> Reply:
        if request.turn == 0:
            return Reply(calls=[pay("A"), *wire.report(summary="Paid.").calls])
        return wire.report(summary="Not paid: " + request.results[0])

    served(wire.script(work, work))
    async with wire.running():
        await until(lambda: parked(asking))
        asked = await in_db(waiting)
        await in_db(decided, asked["A"], lead, "refuse", note="No money.")
        await until(lambda: step_of(asking).state == "done")
    assert "No money." in await in_db(said, asking)
    assert server.calls == []


async def test_a_call_that_may_have_landed_asks_a_person_and_is_not_repeated(
    asking, server, served, lead
):
    served(paying(pay("A")))
    async with wire.running():
        await until(lambda: parked(asking))
        asked = await in_db(waiting)
        row = await in_db(decided, asked["A"], lead)
        past = CallApproval.objects.filter(pk=row.pk)
        await in_db(lambda: past.update(state="calling", sent_at=row.decided_at))
        assert await in_db(carrying.make_due, "effects") == 1
        question = await in_db(lambda: Escalation.objects.get(task=asking))
        assert (question.rule, question.evidence["calls"]) == (
            "unknown_tool_call",
            [str(row.call_id)],
        )
        await in_db(resolve, question, choice="retry_with_note", note="It did.", by=lead)
        await until(lambda: step_of(asking).state == "done")
    assert "whether it took effect is not known" in await in_db(said, asking)
    assert server.calls == []


def test_a_worker_killed_while_a_call_waits_loses_nothing(
    asking, server, served, lead, tmp_path, settings
):
    model = served(paying(pay("A")))
    environment = {
        "COUNTERSIGN_MODEL": "openai:stub",
        "OPENAI_API_KEY": "sk-test-0123456789",
        "OPENAI_BASE_URL": settings.OPENAI_BASE_URL,
    }
    with Workers(tmp_path, **environment) as workers:
        first = workers.start("first")
        _until(lambda: parked(asking))
        first.kill()
        first.wait(10)
        asked = waiting()
        decided(asked["A"], lead)
        workers.start("second")
        assert carrying.make_due("effects") == 1
        _until(lambda: step_of(asking).state == "done")
    assert "Paid A." in said(asking)
    assert len(server.calls) == 1
    assert sum("pay__pay" in request.tools for request in model.requests) <= 3


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
