"""Bells: what can begin does not wait for the poll, and others hear of what a full worker leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
from celery import current_app
from django.db import connection

from agents import dispatch
from agents.messages import StepResult
from agents.models import Agent, Escalation, Step
from agents.models.tasks import Rule
from agents.runtime import loop, sharing
from agents.runtime.contract import Finished, NeedsHuman
from agents.runtime.database import in_db
from tests import runtime_fixtures
from tests.integration import test_worker_loop
from tests.integration.test_worker_loop import running, until
from tests.runtime_fixtures import make_plan, plan_step

if TYPE_CHECKING:
    from agents.runtime.contract import Outcome, Work

agents = runtime_fixtures.agents
task = test_worker_loop.task
pytestmark = pytest.mark.django_db(transaction=True)


async def three_steps(work: Work) -> Outcome:
    """Plan three steps, do each at once, and end with a question."""
    if work.step.kind == "route":
        return Finished(make_plan(*(plan_step(f"s{number}") for number in range(3))))
    if work.step.kind == "work":
        return Finished(StepResult(status="done", summary="Did it."))
    return NeedsHuman(rule=Rule.FAULT, detail="It is only a test.")


async def test_nothing_that_can_begin_waits_for_the_poll(task, monkeypatch) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 300.0)
    capped = Agent.objects.filter(slug="coder")
    await in_db(capped.update, max_in_flight=1)
    async with running(three_steps):
        await until(Escalation.objects.filter(step__kind="assemble").exists)


@pytest.mark.parametrize(("capacity", "bells"), [(1, True), (1_000, False)])
async def test_only_a_full_worker_says_to_the_others_what_became_ready(
    task, settings, monkeypatch, capacity, bells
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 300.0)
    settings.STEPS_IN_FLIGHT = capacity
    await asyncio.to_thread(dispatch.let_ring)
    with current_app.connection_for_write() as broker:
        channel = broker.default_channel
        channel.queue_purge(dispatch.QUEUE)
        async with running(three_steps):
            await until(Escalation.objects.filter(step__kind="assemble").exists)
            await asyncio.to_thread(dispatch.let_ring)
            said = channel.queue_purge(dispatch.QUEUE)
        assert bool(said) == bells


async def test_a_bell_from_the_broker_is_not_sent_on_by_a_full_worker(
    task, settings, monkeypatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 300.0)
    settings.STEPS_IN_FLIGHT = 1
    go_on = asyncio.Event()

    async def perform(work: Work) -> Outcome:
        await go_on.wait()
        return NeedsHuman(rule=Rule.FAULT, detail="It is only a test.")

    with current_app.connection_for_write() as broker:
        channel = broker.default_channel
        async with running(perform) as runtime:
            await until(Step.objects.filter(state="leased").exists)
            await asyncio.to_thread(dispatch.let_ring)
            channel.queue_purge(dispatch.QUEUE)
            runtime.wake()
            await until(lambda: not runtime._bell.is_set())
            await asyncio.to_thread(dispatch.let_ring)
            assert channel.queue_purge(dispatch.QUEUE) == 0
            go_on.set()


async def test_an_agent_another_worker_claims_for_is_looked_at_again(task, monkeypatch) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 300.0)
    monkeypatch.setattr(loop, "_ECHO_SECONDS", 3.0)
    await in_db(Agent.objects.filter(slug="router").update, max_in_flight=1)
    other = await asyncio.to_thread(hold_capped)  # as a worker that claims at this moment does

    async def perform(work: Work) -> Outcome:
        return NeedsHuman(rule=Rule.FAULT, detail="It is only a test.")

    async with running(perform) as runtime:
        await until(lambda: dispatch._steps.at_hand)
        dispatch.ring()
        await until(lambda: runtime._echo is not None)
        assert not await in_db(Step.objects.filter(state="leased").exists)
        await asyncio.to_thread(other.close)
        await until(Escalation.objects.exists)


def hold_capped() -> psycopg.Connection:
    other = psycopg.connect(**connection.get_connection_params(), autocommit=True)
    other.execute(
        "SELECT pg_advisory_lock(%s, hashtext(id::text)) FROM agents_agent"
        " WHERE max_in_flight IS NOT NULL",
        [sharing._CAP_LOCKS],
    )
    return other
