"""Requests that come side by side share a transaction, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from dataclasses import replace

import psycopg
import pytest
from django.db import OperationalError, connection

from agents import intake, requests
from agents.accepting import Accepted, IdempotencyMismatch, NotStorable, Outdated
from agents.models import Task
from agents.quotas import QuotaUsed
from agents.runtime.database import in_db
from countersign.api.problems import Problem
from countersign.edge import batcher as edge
from countersign.edge import senders
from countersign.edge.batcher import MOST_WAITING, PATIENCE, Batcher
from projects import audit, tokens
from projects.invariants import CHECKS
from projects.models import AuditEntry, Quota
from tests.api_fixtures import make_crew
from tests.worker_fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sender(project, requester):
    make_crew()
    return requests.sender_of(requester, project)


def ask(sender, text="Fix it", **more):
    return requests.ask(sender, request=text, **more)


@contextlib.contextmanager
def other_session():
    """Yield a session of somebody else, whose transaction is rolled back at the end."""
    info = connection.get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    with psycopg.connect(**{name: info[name] for name in wanted if info.get(name)}) as other:
        yield other
        other.rollback()


@contextlib.contextmanager
def audit_held():
    """Keep everybody from writing the audit log, as a slow transaction of somebody else would."""
    with other_session() as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [audit.LOCK])
        yield other


async def test_what_comes_meanwhile_is_one_batch(sender):
    batcher = Batcher()
    with audit_held():
        first = asyncio.create_task(batcher.submit(ask(sender)))
        await asyncio.sleep(0.3)
        rest = [asyncio.create_task(batcher.submit(ask(sender, f"No. {n}"))) for n in range(40)]
        await asyncio.sleep(0.1)
    outcomes = await asyncio.gather(first, *rest)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    entries = await in_db(lambda: list(AuditEntry.objects.order_by("id")))
    assert [len(entry.detail.get("and", [])) for entry in entries] == [0, 39]
    told = {entries[1].object_id, *entries[1].detail["and"]}
    assert told == {outcome.id for outcome in outcomes[1:]}
    numbers = [outcome.number for outcome in outcomes]
    assert numbers == sorted(numbers)
    await batcher.close()


async def test_too_many_are_refused_at_once_and_the_others_are_taken(sender):
    batcher = Batcher()
    with audit_held():
        waiting = [asyncio.create_task(batcher.submit(ask(sender))) for _ in range(1)]
        await asyncio.sleep(0.3)
        waiting += [asyncio.create_task(batcher.submit(ask(sender))) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="wait already") as refusal:
            await batcher.submit(ask(sender))
    assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "1"})
    assert all(isinstance(outcome, Accepted) for outcome in await asyncio.gather(*waiting))
    assert await in_db(Task.objects.count) == MOST_WAITING + 1
    await batcher.close()


async def test_nobody_waits_longer_than_a_few_seconds_and_it_recovers(sender):
    batcher, loop = Batcher(), asyncio.get_running_loop()
    with audit_held():
        began = loop.time()
        first = asyncio.create_task(batcher.submit(ask(sender, key="a")))
        await asyncio.sleep(0.3)
        later = asyncio.create_task(batcher.submit(ask(sender, key="b")))
        failed = await asyncio.gather(first, later, return_exceptions=True)
        assert loop.time() - began < PATIENCE + 1
        assert [(error.status, error.headers) for error in failed] == [
            (503, {"Retry-After": "5"})
        ] * 2
    # The first was on its way: a key finds it. The second was given up and never written.
    again = await batcher.submit(ask(sender, key="a"))
    assert not again.created
    assert (await batcher.submit(ask(sender, key="b"))).created
    assert await in_db(Task.objects.count) == 2
    await batcher.close()


async def test_a_closed_batcher_has_written_everything(sender):
    batcher = Batcher()
    waiting = [asyncio.create_task(batcher.submit(ask(sender))) for _ in range(600)]
    await asyncio.sleep(0)
    await batcher.close()
    assert all(task.done() for task in waiting)
    assert await in_db(Task.objects.count) == 600
    chain = next(check for check in CHECKS if check.name == "audit-chain")
    assert (await in_db(chain.find)).count == 0


def test_one_poisoned_row_does_not_keep_the_others_out(sender):
    poisoned = ask(replace(sender, model="m" * 201), "No. 17")
    asked = [ask(sender, f"No. {number}") for number in range(40)]
    asked[17] = poisoned
    outcomes = intake.submit_all(asked)
    assert isinstance(outcomes[17], NotStorable)
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 39
    assert Task.objects.count() == 39
    titles = Task.objects.order_by("id").values_list("title", flat=True)
    assert "No. 17" not in titles


def test_one_key_twice_in_a_batch_is_one_task(sender):
    asked = [ask(sender, key="k"), ask(sender, key="k"), ask(sender, "Other", key="k")]
    first, second, other = intake.submit_all(asked)
    assert (first.created, second.created, second.id) == (True, False, first.id)
    assert isinstance(other, IdempotencyMismatch)
    assert Task.objects.count() == 1


def test_one_key_twice_takes_one_place_of_a_quota(sender, requester):
    Quota.objects.create(user=requester, hourly=2)
    asked = [ask(sender, key="k"), ask(sender, key="k"), ask(sender, "Other"), ask(sender, "More")]
    first, second, other, more = intake.submit_all(asked)
    assert (first.created, second.created, second.id) == (True, False, first.id)
    assert isinstance(other, Accepted)
    assert isinstance(more, QuotaUsed)
    again = intake.submit_all([ask(sender, "New", key="n"), ask(sender, "New", key="n")])
    assert [type(outcome) for outcome in again] == [QuotaUsed, QuotaUsed]


def test_what_has_changed_is_outdated_and_the_others_are_taken(sender, lead, project):
    old = replace(sender, role="lead")
    outcomes = intake.submit_all([ask(old), ask(sender), ask(requests.sender_of(lead, project))])
    assert [type(outcome) for outcome in outcomes] == [Outdated, Accepted, Accepted]


def test_what_is_written_is_not_disowned_by_a_quota_that_cannot_be_counted(sender, lead, project):
    quota = Quota.objects.create(user=lead, hourly=5)
    counted = requests.sender_of(lead, project)
    with other_session() as other, connection.cursor() as ours:
        other.execute("SELECT FROM projects_quota WHERE id = %s FOR UPDATE", [quota.pk])
        ours.execute("SET lock_timeout = '100ms'")
        taken, lost = intake.submit_all([ask(sender), ask(counted)])
        ours.execute("RESET lock_timeout")
    assert (type(taken), taken.created) == (Accepted, True)
    assert isinstance(lost, OperationalError)
    assert [str(task.pk) for task in Task.objects.all()] == [taken.id]


async def test_a_database_that_goes_while_a_quota_is_counted_takes_back_no_answer(
    sender, lead, project
):
    quota = await in_db(lambda: Quota.objects.create(user=lead, hourly=5))
    counted = await in_db(requests.sender_of, lead, project)
    batcher = Batcher()
    with other_session() as other:
        other.execute("SELECT FROM projects_quota WHERE id = %s FOR UPDATE", [quota.pk])
        both = [asyncio.create_task(batcher.submit(ask(one))) for one in (sender, counted)]
        await asyncio.to_thread(end_who_waits, other)
        taken, lost = await asyncio.gather(*both, return_exceptions=True)
    assert (type(taken), taken.created) == (Accepted, True)
    assert (lost.status, lost.headers) == (503, {"Retry-After": "5"})
    await batcher.close()


def end_who_waits(other):
    """End the session that waits for a row, as soon as there is one."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"
    until(lambda: other.execute(ended).fetchall(), seconds=3)


@pytest.mark.parametrize("turn", range(6))
def test_two_batches_with_the_same_keys_in_other_orders_do_not_deadlock(sender, turn):
    keys = [f"{turn}-{number}" for number in range(250)]
    batches = [[ask(sender, key=key) for key in order] for order in (keys, keys[::-1])]
    outcomes, barrier = [], threading.Barrier(2)

    def submit(batch):
        connection.ensure_connection()
        barrier.wait()
        try:
            outcomes.extend(intake.submit_all(batch))
        finally:
            connection.close()

    threads = [threading.Thread(target=submit, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    made = [outcome.created for outcome in outcomes]
    assert (len(made), sum(made), Task.objects.count()) == (500, 250, 250)


async def test_the_process_has_one_batcher(sender):
    assert edge.batcher() is edge.batcher()
    await edge.close()


async def test_whoever_asks_for_the_same_sender_waits_for_one_reading(requester, project):
    make = functools.partial(tokens.issue, requester, name="crowd", scopes=(senders.SCOPE,))
    _, bearer = await in_db(make)
    found = await asyncio.gather(*(senders.find(bearer, project.slug) for _ in range(50)))
    assert found[0] is not None
    assert all(sender is found[0] for sender in found)


async def test_one_that_stops_waiting_for_a_sender_stops_no_other(requester, project):
    make = functools.partial(tokens.issue, requester, name="crowd", scopes=(senders.SCOPE,))
    _, bearer = await in_db(make)
    first, second = (asyncio.create_task(senders.find(bearer, project.slug)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None


async def test_what_was_forgotten_while_it_was_read_is_not_kept(requester, project):
    make = functools.partial(tokens.issue, requester, name="crowd", scopes=(senders.SCOPE,))
    _, bearer = await in_db(make)
    reading = asyncio.create_task(senders.find(bearer, project.slug))
    await asyncio.sleep(0)
    senders.forget(bearer, project.slug)
    assert await reading is not None
    assert senders.kept(bearer, project.slug) is None
    assert await senders.find(bearer, project.slug) is senders.kept(bearer, project.slug)
