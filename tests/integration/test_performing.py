"""One attempt against a stub server over real HTTP: outcomes, usage, events, notes, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agents.runtime.contract import Finished
from agents.runtime.performing import perform
from agents.seeding import seed_agents
from tests.stub_model import Call, Reply, StubModel, sequence
from tests.thinking_fixtures import PLAN, make_step, make_task, make_work

if TYPE_CHECKING:
    from agents.models import Task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task(project, requester) -> Task:
    seed_agents()
    return make_task(project, requester)


@pytest.fixture
def served(settings):
    """Start a stub server with a script and point the settings at it."""
    servers: list[StubModel] = []

    def start(*replies: Reply) -> StubModel:
        server = StubModel(sequence(*replies)).__enter__()
        servers.append(server)
        settings.OPENAI_BASE_URL = server.base_url
        settings.OPENAI_API_KEY = "sk-test-0123456789"
        return server

    yield start
    for server in servers:
        server.__exit__()


def plan(**facts) -> Reply:
    return Reply(calls=[Call("submit_plan", {**PLAN, **facts})])


async def test_a_plan_comes_back_validated_and_paid(task, served) -> None:
    server = served(Reply(text="I look.", calls=[Call("submit_plan", PLAN)]))
    work = await _work(make_step, task, "router", kind="route", key="route")
    outcome = await perform(work)
    assert isinstance(outcome, Finished), outcome
    assert outcome.output.steps[0].agent == "coder"
    assert len(server.requests) == 1


async def _work(make, task, slug, **facts):
    from agents.runtime.database import in_db

    return await in_db(lambda: make_work(make(task, slug, **facts)))
