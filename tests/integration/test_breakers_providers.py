"""The breaker of a provider: steps wait while it is open, one tries, and all go on when it heals."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from agents.breakers import providers
from agents.breakers.providers import FAILURES, Admitted, Waiting
from agents.lifecycle import StepState
from agents.models import Attempt, ProviderBreaker, Step, Task
from agents.runtime.contract import Finished, NeedsHuman, TryAgain
from agents.runtime.database import in_db
from agents.runtime.performing import perform
from agents.seeding import seed_agents
from tests.breaker_fixtures import REPORT, carried
from tests.stub_model import Reply
from tests.thinking_fixtures import make_step, make_task, make_work, next_attempt, serve

pytestmark = pytest.mark.django_db(transaction=True)
ONE = ("openai@127.0.0.1:9/v1",)


@pytest.fixture
def task(project, requester) -> Task:
    seed_agents()
    return make_task(project, requester)


@pytest.fixture
def served(settings):
    settings.OPENAI_API_KEY = "sk-test-0123456789"
    with serve(settings) as start:
        yield start


def fail(times: int, which: tuple[str, ...] = ONE) -> None:
    for _ in range(times):
        providers.failed(which, "HTTP 503")


def pass_time(seconds: float) -> None:
    """Let everything have happened so much earlier."""
    moved = timedelta(seconds=seconds)
    ProviderBreaker.objects.update(open_until=F("open_until") - moved)
    for row in ProviderBreaker.objects.all():
        row.failures = [moment - moved for moment in row.failures]
        row.save(update_fields=["failures"])


def state(which: str = ONE[0]) -> str:
    return ProviderBreaker.objects.values_list("state", flat=True).get(pk=which)


@pytest.mark.parametrize(("failures", "opens"), [(4, False), (5, True), (6, True)])
def test_it_opens_at_the_fifth_failure(db, failures, opens) -> None:
    fail(failures)
    assert state() == ("open" if opens else "closed")
    assert isinstance(providers.admit(ONE), Waiting if opens else Admitted)


@pytest.mark.parametrize(("seconds", "opens"), [(58, True), (61, False)])
def test_only_failures_of_the_last_minute_count(db, seconds, opens) -> None:
    fail(FAILURES - 1)
    pass_time(seconds)
    fail(1)
    assert (state() == "open") is opens


def test_it_keeps_no_more_failures_than_it_counts(db) -> None:
    fail(3)
    pass_time(61)
    fail(1)
    moments = ProviderBreaker.objects.get().failures
    assert len(moments) == 1
    fail(9)
    kept = ProviderBreaker.objects.get().failures
    assert kept == sorted(kept)
    assert len(kept) <= FAILURES + 1


def test_who_waits_is_told_for_what_and_how_long(db) -> None:
    fail(FAILURES)
    waiting = providers.admit(ONE)
    assert 25 < waiting.seconds < 34
    assert waiting.reason.startswith(f"Waiting for the provider {ONE[0]}: 5 calls failed")
    assert "HTTP 503" in waiting.reason


def test_after_its_time_one_is_let_through(db) -> None:
    fail(FAILURES)
    pass_time(31)
    assert providers.admit(ONE) == Admitted(probing=ONE)
    assert state() == "half_open"
    assert isinstance(providers.admit(ONE), Waiting)


def test_of_eight_at_once_one_is_let_through(db) -> None:
    fail(FAILURES)
    pass_time(31)
    together = threading.Barrier(8)

    def enter(_: int) -> Admitted | Waiting:
        together.wait(30)
        try:
            return providers.admit(ONE)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(enter, range(8)))
    assert sum(isinstance(each, Admitted) for each in found) == 1


def test_who_tries_and_dies_is_followed_by_another(db) -> None:
    fail(FAILURES)
    pass_time(31)
    assert isinstance(providers.admit(ONE), Admitted)
    pass_time(31)
    assert isinstance(providers.admit(ONE), Admitted)


def test_one_failure_of_who_tries_opens_it_again(db) -> None:
    fail(FAILURES)
    pass_time(31)
    providers.admit(ONE)
    fail(1)
    assert state() == "open"
    assert isinstance(providers.admit(ONE), Waiting)


def test_an_answer_closes_it_and_wakes_who_waits(task) -> None:
    fail(FAILURES)
    waits = make_step(task, "coder", key="waits")
    backs_off = make_step(task, "coder", key="other")
    for step, reason in ((waits, providers.admit(ONE).reason), (backs_off, "openai: HTTP 503")):
        step.move(StepState.READY, reason=reason, available_at=Now() + timedelta(seconds=50))
    pass_time(31)
    providers.admit(ONE)
    providers.healed(ONE)
    assert state() == "closed"
    assert providers.admit(ONE) == Admitted()
    soon = Step.objects.filter(available_at__lt=Now() + timedelta(seconds=10))
    assert [step.key for step in soon] == ["waits"]
    fail(FAILURES - 1)  # it counts from nothing again
    assert state() == "closed"


def test_a_fallback_at_another_provider_is_not_kept_waiting(db) -> None:
    fail(FAILURES)
    assert providers.admit((*ONE, "anthropic")) == Admitted()
    fail(FAILURES, ("anthropic",))
    assert isinstance(providers.admit((*ONE, "anthropic")), Waiting)


def test_nothing_is_written_while_all_is_well(db) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        providers.admit(ONE)
    assert [each["sql"].split()[0] for each in asked] == ["SELECT"]


# Over the wire


def attempt_again(step: Step):
    return make_work(next_attempt(step))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_steps_wait_while_a_provider_is_down_and_that_is_no_try(task, served, status) -> None:
    server = served(*[Reply(status=status)] * 5, REPORT, REPORT)
    works = [
        await in_db(lambda n=n: make_work(make_step(task, "coder", key=f"s{n}"))) for n in range(6)
    ]
    for work in works[:5]:
        outcome, _ = await carried(work)
        assert isinstance(outcome, TryAgain)
        assert outcome.counts
    last = works[5]
    outcome, escalation = await carried(last)
    assert isinstance(outcome, TryAgain)
    assert not outcome.counts
    assert escalation is None
    assert len(server.requests) == 5
    step = await in_db(Step.objects.get, pk=last.step.pk)
    assert step.state == "ready"
    assert step.reason.startswith("Waiting for the provider openai-compatible@127.0.0.1:")
    left = await in_db(
        lambda: Step.objects.annotate(left=F("available_at") - Now()).get(pk=step.pk).left
    )
    assert left > timedelta(seconds=20)
    for _ in range(6):  # more than five waits are no reason to ask a person
        outcome, escalation = await carried(await in_db(again, last.step))
        assert escalation is None
    await in_db(pass_time, 31)
    assert isinstance((await carried(await in_db(again, last.step)))[0], Finished)
    assert await in_db(lambda: ProviderBreaker.objects.get().state) == "closed"
    spent = await in_db(lambda: Attempt.objects.filter(step=last.step, input_tokens__gt=0).count())
    assert spent == 1


def again(step: Step):
    Step.objects.filter(pk=step.pk).update(
        state="leased", lease_owner="test", lease_until=Now() + timedelta(minutes=5)
    )
    return make_work(next_attempt(step))


async def test_a_provider_that_stays_down_ends_with_a_person(task, served) -> None:
    """Waits between the tries neither count nor make the tries be forgotten."""
    server = served(*[Reply(status=503)] * 9)
    step = await in_db(make_step, task, "coder")
    outcome, escalation = await carried(await in_db(make_work, step))
    for turn in range(20):
        if escalation is not None:
            break
        if turn % 2:
            await in_db(pass_time, 31)
        outcome, escalation = await carried(await in_db(again, step))
    assert isinstance(outcome, TryAgain)
    assert escalation.rule == "model_unreachable"
    assert escalation.evidence["tries"] == 5
    assert len(server.requests) == 5


async def test_a_refused_key_is_no_outage(task, served) -> None:
    served(*[Reply(status=401)] * 6)
    for n in range(6):
        outcome = await perform(
            await in_db(lambda n=n: make_work(make_step(task, "coder", key=f"s{n}")))
        )
        assert isinstance(outcome, NeedsHuman)
    assert not await in_db(ProviderBreaker.objects.exists)


async def test_a_provider_that_refuses_who_tries_it_is_there_again(task, served) -> None:
    served(*[Reply(status=503)] * 5, Reply(status=401), REPORT)
    works = [
        await in_db(lambda n=n: make_work(make_step(task, "coder", key=f"s{n}"))) for n in range(7)
    ]
    for work in works[:5]:
        await perform(work)
    await in_db(pass_time, 31)
    assert isinstance(await perform(works[5]), NeedsHuman)
    assert isinstance(await perform(works[6]), Finished)
