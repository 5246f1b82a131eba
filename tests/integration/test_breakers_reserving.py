"""Reservations as rows: what fits, what several steps leave each other, and calls without an answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import F

from agents import attempts, meters, stopping
from agents.breakers import reserving
from agents.breakers.reserving import Asking, Own, Price, Refused, Reserved, Wish
from agents.lifecycle import AttemptState
from agents.limits import Limits
from agents.models import Attempt, Step, Task
from agents.seeding import seed_agents
from tests.thinking_fixtures import make_step, make_task, make_work

pytestmark = pytest.mark.django_db(transaction=True)

DEAR = Price(input=Decimal("0.00001"), output=Decimal("0.00004"))  # 0.05 USD for 1,000 + 1,000


@pytest.fixture
def bare(project, requester) -> Task:
    """Make a task whose files nobody asks for."""
    seed_agents()
    return make_task(project, requester)


def attempt_of(task: Task, key: str = "mend") -> Attempt:
    return make_work(make_step(task, "coder", key=key)).attempt


def ask(task: Task, attempt: Attempt, call: Asking, **own) -> Reserved | Refused:
    facts = {"tokens": 0, "max_tokens": 10**9, "usd": Decimal(0), "max_usd": None, **own}
    with transaction.atomic():
        locked = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        used = meters.used_by([locked], but=[attempt.pk])[task.pk]
        wish = Wish(attempt=attempt, task=locked, used=used, own=Own(**facts), call=call)
        return reserving.reserve([wish])[0]


def call_of(sent: int = 1_000, most: int = 8_000, price: Price | None = DEAR) -> Asking:
    return Asking(input_tokens=sent, output_tokens=most, price=price)


def limit(task: Task, **limits) -> None:
    Task.objects.filter(pk=task.pk).update(limits={**Limits().as_json(), **limits})


# What fits


@pytest.mark.parametrize(
    ("tokens", "answer"),
    [(1_999, None), (2_000, 1_000), (2_001, 1_001), (8_999, 7_999), (9_000, 8_000), (9_001, 8_000)],
)
def test_an_answer_is_as_long_as_the_tasks_tokens_allow(bare, tokens, answer) -> None:
    attempt = attempt_of(bare)
    limit(bare, tokens=tokens, usd=100)
    held = ask(bare, attempt, call_of())
    attempt.refresh_from_db()
    if answer is None:
        assert isinstance(held, Refused)
        assert (held.evidence["scope"], held.evidence["name"]) == ("task", "tokens")
        assert (held.evidence["threshold"], held.evidence["observed"]) == (1_999, 2_000)
        assert attempt.reserved_tokens == 0
    else:
        assert held.output_tokens == answer
        assert attempt.reserved_tokens == 1_000 + answer
        assert bool(held.tight) is (answer < 8_000)


@pytest.mark.parametrize(
    ("usd", "answer"), [(0.0499, None), (0.05, 1_000), (0.06, 1_250), (0.33, 8_000), (1, 8_000)]
)
def test_an_answer_is_as_long_as_the_tasks_money_allows(bare, usd, answer) -> None:
    attempt = attempt_of(bare)
    limit(bare, usd=usd)
    held = ask(bare, attempt, call_of())
    attempt.refresh_from_db()
    if answer is None:
        assert isinstance(held, Refused)
        assert (held.evidence["scope"], held.evidence["name"]) == ("task", "usd")
    else:
        assert held.output_tokens == answer
        assert attempt.reserved_usd == Decimal("0.01") + answer * DEAR.output


@pytest.mark.parametrize(
    ("own", "name", "answer"),
    [
        ({"tokens": 8_001, "max_tokens": 10_000}, "tokens", None),
        ({"tokens": 8_000, "max_tokens": 10_000}, "tokens", 1_000),
        ({"tokens": 0, "max_tokens": 10_000}, "tokens", 8_000),
        ({"usd": Decimal("0.951"), "max_usd": Decimal(1)}, "usd", None),
        ({"usd": Decimal("0.95"), "max_usd": Decimal(1)}, "usd", 1_000),
        ({"usd": Decimal(0), "max_usd": Decimal(1)}, "usd", 8_000),
    ],
)
def test_an_attempt_has_limits_of_its_own(bare, own, name, answer) -> None:
    held = ask(bare, attempt_of(bare), call_of(), **own)
    if answer is None:
        assert isinstance(held, Refused)
        assert (held.evidence["scope"], held.evidence["name"]) == ("step", name)
    else:
        assert held.output_tokens == answer


def test_a_profile_with_short_answers_needs_no_more_than_they_take(bare) -> None:
    limit(bare, tokens=1_200)
    assert ask(bare, attempt_of(bare), call_of(most=200)) == Reserved(output_tokens=200)


def test_what_others_have_reserved_is_not_there(bare) -> None:
    first, second = attempt_of(bare, "one"), attempt_of(bare, "two")
    limit(bare, tokens=12_000, usd=100)
    assert ask(bare, first, call_of()).output_tokens == 8_000
    assert ask(bare, second, call_of()).output_tokens == 2_000
    again = ask(bare, first, call_of())  # its own reservation is replaced, not counted
    assert again.output_tokens == 8_000
    refused = ask(bare, attempt_of(bare, "three"), call_of())
    assert refused.evidence["reserved"] == 12_000
    with transaction.atomic():
        reserving.release(first)
    assert ask(bare, attempt_of(bare, "four"), call_of()).output_tokens == 8_000


@pytest.mark.parametrize(
    ("limits", "own", "ends"),
    [
        ({}, {}, Reserved),
        ({"usd_set": True}, {}, Refused),
        ({}, {"max_usd": Decimal(1)}, Refused),
    ],
)
def test_a_model_without_a_price_is_refused_where_somebody_set_the_money(
    bare, limits, own, ends
) -> None:
    limit(bare, **limits)
    held = ask(bare, attempt_of(bare), call_of(price=None), **own)
    assert isinstance(held, ends)
    if ends is Refused:
        assert held.unpriced
        assert held.evidence["name"] == "price"


def test_a_model_that_costs_nothing_passes_a_limit_of_money(bare) -> None:
    free = Price(input=Decimal(0), output=Decimal(0))
    limit(bare, usd=0.01, usd_set=True)
    assert ask(bare, attempt_of(bare), call_of(price=free)).output_tokens == 8_000


# Several steps at once


def test_eight_steps_at_once_stay_inside_the_tasks_tokens(bare) -> None:
    """Every answer is as long as was reserved: the worst case."""
    limit(bare, tokens=40_000, usd=100)
    held = [attempt_of(bare, f"step{n}") for n in range(8)]
    together = threading.Barrier(8)

    def work(attempt: Attempt) -> int:
        together.wait(30)
        made = 0
        try:
            while isinstance(reserved := ask(bare, attempt, call_of()), Reserved):
                spent = {"input_tokens": F("input_tokens") + 1_000}
                spent["output_tokens"] = F("output_tokens") + reserved.output_tokens
                with transaction.atomic():
                    Attempt.objects.filter(pk=attempt.pk).update(**spent, **reserving.SETTLED)
                    Task.objects.filter(pk=bare.pk).update(**spent)
                made += 1
        finally:
            connection.close()
        return made

    with ThreadPoolExecutor(8) as pool:
        made = sum(pool.map(work, held))
    bare.refresh_from_db()
    used = bare.input_tokens + bare.output_tokens
    assert 38_000 < used <= 40_000
    assert made >= 5
    assert not Attempt.objects.filter(reserved_tokens__gt=0).exists()


# Calls without an answer


def reserved_attempt(task: Task) -> Attempt:
    attempt = attempt_of(task)
    assert isinstance(ask(task, attempt, call_of()), Reserved)
    return attempt


@pytest.mark.parametrize("how", [AttemptState.LOST, AttemptState.CANCELLED, AttemptState.ESCALATED])
def test_a_call_that_was_lost_counts_as_sent_exactly_once(bare, how) -> None:
    attempt = reserved_attempt(bare)
    for _ in range(3):
        with transaction.atomic():
            step = Step.objects.select_for_update().get(pk=attempt.step_id)
            attempts.close(step, how, error="gone")
    attempt.refresh_from_db()
    bare.refresh_from_db()
    assert (attempt.state, attempt.reserved_tokens, attempt.reserved_usd) == (how, 0, 0)
    assert (attempt.input_tokens, attempt.output_tokens, attempt.usd) == (1_000, 0, Decimal("0.01"))
    assert (bare.input_tokens, bare.usd, bare.model_calls) == (1_000, Decimal("0.01"), 1)


def test_a_stopped_task_counts_its_open_call(bare, requester) -> None:
    attempt = reserved_attempt(bare)
    stopping.stop(bare, by=requester)
    attempt.refresh_from_db()
    bare.refresh_from_db()
    assert (attempt.state, bare.state, bare.input_tokens) == ("cancelled", "cancelled", 1_000)
