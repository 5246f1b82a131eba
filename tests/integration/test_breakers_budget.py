"""Money and tokens over the wire: shortened to what is left, refused above it, settled after."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import connection

from agents import escalations
from agents.finishing import settle
from agents.limits import Limits
from agents.models import Attempt, ModelProfile, Task
from agents.runtime.claims import claim
from agents.runtime.contract import Finished, Interrupted, NeedsHuman, TryAgain
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from tests.breaker_fixtures import LIST, READ, REPORT, calls, carried, demo_task, opened
from tests.stub_model import Call, Reply
from tests.thinking_fixtures import DONE, limited, serve

pytestmark = pytest.mark.django_db(transaction=True)

BIG = (20_000, 5_000)  # tokens of an answer


@pytest.fixture
def task(project, requester, settings, tmp_path) -> Task:
    settings.DATA_DIR = tmp_path / "data"
    return demo_task(project, requester, tmp_path)


@pytest.fixture
def served(settings):
    settings.OPENAI_API_KEY = "sk-test-0123456789"
    with serve(settings) as start:
        yield start


def limit(task: Task, **limits) -> None:
    Task.objects.filter(pk=task.pk).update(limits={**Limits().as_json(), **limits})


async def test_an_answer_settles_what_was_reserved(task, served) -> None:
    seen: list[tuple[int, int]] = []

    def script(request) -> Reply:
        seen.append(Attempt.objects.values_list("reserved_tokens", "reserved_input_tokens").get())
        connection.close()  # this thread's own
        return calls(READ) if request.number == 0 else REPORT

    served(script)
    work = await in_db(opened, task)
    assert isinstance(await perform(work), Finished)
    assert all(tokens == sent + 8_000 > sent > 100 for tokens, sent in seen)
    attempt = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    assert (attempt.reserved_tokens, attempt.reserved_input_tokens) == (0, 0)
    assert (attempt.input_tokens, attempt.output_tokens) == (200, 40)


async def test_tokens_that_are_used_up_need_a_person(task, served) -> None:
    await in_db(limited, "coder", max_tokens=53_000)
    served(*[Reply(calls=[call], tokens=BIG) for call in (LIST, READ)], REPORT)
    outcome, escalation = await carried(await in_db(opened, task))
    assert isinstance(outcome, NeedsHuman)
    assert escalation.rule == "budget"
    evidence = escalation.evidence
    assert (evidence["scope"], evidence["name"], evidence["used"]) == ("step", "tokens", 50_000)
    assert evidence["observed"] > evidence["threshold"] == 53_000
    assert "raise_limit_once" in escalation.options


@pytest.mark.parametrize("scope", ["task", "step"])
async def test_the_limit_that_was_too_low_is_the_one_that_is_raised(
    task, served, requester, scope
) -> None:
    """Much of the task's tokens is left, and yet no call fits: the limit itself never trips."""
    if scope == "task":
        await in_db(limit, task, tokens=53_000)
    else:
        await in_db(limited, "coder", max_tokens=53_000)
    server = served(*[Reply(calls=[call], tokens=BIG) for call in (LIST, READ)], REPORT)
    first = await in_db(opened, task)
    _, escalation = await carried(first)
    assert escalation.evidence["scope"] == scope
    await in_db(lambda: escalations.resolve(escalation, choice="raise_limit_once", by=requester))
    (claimed,) = await in_db(claim, "test", limit=1)
    outcome = await perform(replace(first, step=claimed.step, attempt=claimed.attempt))
    assert isinstance(outcome, Finished), outcome
    assert len(server.requests) == 3
    limits = await in_db(lambda: Task.objects.values_list("limits", flat=True).get())
    assert (limits["tokens"] > 100_000, claimed.step.extra_tokens > 0) == (
        True,
        scope == "step",
    )


async def test_money_that_is_used_up_needs_a_person(task, served) -> None:
    def dear() -> None:
        ModelProfile.objects.update(usd_per_million_input=10, usd_per_million_output=40)
        limited("coder", max_usd=Decimal("0.45"))

    await in_db(dear)
    server = served(Reply(calls=[LIST], tokens=BIG), REPORT)  # 0.40 USD
    outcome, escalation = await carried(await in_db(opened, task))
    assert isinstance(outcome, NeedsHuman)
    assert len(server.requests) == 1
    assert (escalation.evidence["scope"], escalation.evidence["name"]) == ("step", "usd")
    assert escalation.evidence["usage"]["usd"] == 0.4


async def test_the_last_answers_are_shortened_to_what_is_left(task, served) -> None:
    await in_db(limited, "coder", max_tokens=53_000)
    server = served(Reply(calls=[LIST], tokens=BIG), REPORT)
    assert isinstance(await perform(await in_db(opened, task)), Finished)
    first, second = (
        request.body.get("max_completion_tokens") or request.body.get("max_tokens")
        for request in server.requests
    )
    assert first == 8_000
    assert 1_000 <= second < 3_000


async def test_an_answer_cut_for_want_of_budget_says_so(task, served) -> None:
    await in_db(limited, "coder", max_tokens=53_000)
    half = Reply(text="I beg", finish="length")
    served(Reply(calls=[LIST], tokens=BIG), half)
    outcome = await perform(await in_db(opened, task))
    assert isinstance(outcome, NeedsHuman)
    assert (outcome.rule, outcome.evidence["scope"]) == ("budget", "step")
    assert "no more of it could be paid" in outcome.detail


async def test_a_model_without_a_price_is_not_called_with_a_limit_of_money(task, served) -> None:
    await in_db(limit, task, usd=1.0, usd_set=True)
    server = served(REPORT)
    outcome, escalation = await carried(await in_db(opened, task))
    assert isinstance(outcome, NeedsHuman)
    assert len(server.requests) == 0
    assert (escalation.rule, escalation.evidence["name"]) == ("budget", "price")
    assert "raise_limit_once" not in escalation.options
    assert "model profile" in escalation.detail


async def test_a_free_model_of_ones_own_is_called(project, requester, settings, tmp_path) -> None:
    settings.DATA_DIR = tmp_path / "data"

    def prepare():
        task = demo_task(project, requester, tmp_path, model="ollama:qwen3")
        limit(task, usd=0.01, usd_set=True)
        return opened(Task.objects.get(pk=task.pk))

    with serve(settings) as start:
        settings.OLLAMA_BASE_URL = start(REPORT).base_url
        assert isinstance(await perform(await in_db(prepare)), Finished)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_a_call_that_was_turned_away_costs_nothing(task, served, status) -> None:
    served(Reply(status=status))
    work = await in_db(opened, task)
    await carried(work)
    attempt = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    assert (attempt.input_tokens, attempt.reserved_tokens) == (0, 0)


async def test_a_server_that_is_not_there_costs_nothing(task, settings) -> None:
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    settings.OPENAI_API_KEY = "sk-test-0123456789"
    work = await in_db(opened, task)
    assert isinstance((await carried(work))[0], TryAgain)
    assert (await in_db(Attempt.objects.get, pk=work.attempt.pk)).input_tokens == 0


async def test_a_call_that_fell_silent_counts_as_sent(task, served) -> None:
    """The limit of silence holds in the middle of an answer too; the provider bills what it got."""
    await in_db(lambda: ModelProfile.objects.update(timeout_seconds=1))
    served(Reply(text="I begin, and then nothing more", pace=60), REPORT)
    work = await in_db(opened, task)
    outcome, _ = await carried(work)
    assert isinstance(outcome, TryAgain), outcome
    attempt = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    assert attempt.input_tokens > 100
    assert (attempt.output_tokens, attempt.reserved_tokens) == (0, 0)


async def test_a_cancelled_call_counts_as_sent(task, served) -> None:
    server = served(Reply(delay=60, calls=[Call("report_result", DONE)]))
    work = await in_db(opened, task)
    running = asyncio.create_task(perform(work))
    deadline = time.monotonic() + 60
    while not await in_db(lambda: len(server.requests)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert await in_db(settle, work.attempt, Interrupted()) is True
    left = await in_db(Attempt.objects.get, pk=work.attempt.pk)
    assert (left.state, left.reserved_tokens, left.output_tokens) == ("released", 0, 0)
    assert left.input_tokens > 100


async def test_the_wall_clock_in_the_middle_of_a_call(task, served) -> None:
    served(Reply(delay=60, calls=[Call("report_result", DONE)]))
    outcome, escalation = await carried(await in_db(opened, task, seconds=2))
    assert isinstance(outcome, NeedsHuman)
    assert escalation.rule == "wall_clock"
    assert escalation.evidence["usage"]["turns"] == 0
    spent = await in_db(lambda: Task.objects.values_list("input_tokens", flat=True).get())
    assert spent > 100
