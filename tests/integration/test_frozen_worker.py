"""A worker that freezes inside a transaction keeps nobody waiting longer than its lease."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.db import DatabaseError, transaction

from agents.models import Task
from agents.runtime.database import in_db
from tests import runtime_fixtures
from tests.worker_fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)
agents = runtime_fixtures.agents
task = runtime_fixtures.task


def frozen_in_a_transaction(locked: threading.Event, free: threading.Event) -> str:
    """Lock every task, stand still until `free`, and then try to go on."""
    with transaction.atomic():
        list(Task.objects.select_for_update(no_key=True))
        locked.set()
        free.wait(60)
        try:
            Task.objects.update(title="Written by a worker that has lost everything")
        except DatabaseError:
            return "refused"
    return "written"


async def test_rows_of_a_frozen_worker_are_free_after_its_lease(task, settings):
    settings.LEASE_SECONDS = 2
    locked, free = threading.Event(), threading.Event()
    frozen = asyncio.ensure_future(in_db(frozen_in_a_transaction, locked, free))
    await asyncio.to_thread(until, locked.is_set)
    changed = await in_db(Task.objects.filter(pk=task.pk).update, title="Written by another")
    free.set()
    assert (changed, await frozen) == (1, "refused")
    assert await in_db(lambda: Task.objects.get().title) == "Written by another"
