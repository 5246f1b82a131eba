"""A process that stops while it sends statements together holds its rows no longer than a lease."""

from __future__ import annotations

import time
from contextlib import closing

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from agents.models import Task
from agents.runtime import frozen
from tests import runtime_fixtures

pytestmark = pytest.mark.django_db(transaction=True)
agents = runtime_fixtures.agents
task = runtime_fixtures.task
_SECONDS = 10
_LOCK = "SELECT 1 FROM agents_task FOR UPDATE"


@pytest.fixture
def other():
    """A connection of another process, which this one cannot close."""
    facts = {**connection.get_connection_params(), "application_name": frozen.NAME}
    # Closed without its end being sent: who was disconnected has nobody to send it to.
    with closing(psycopg.connect(**facts)) as other:
        yield other


def _until_it_reads():
    """Yield until its server process, which has just answered, waits for more."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        yield


def lock_now() -> None:
    with transaction.atomic():
        list(Task.objects.select_for_update(nowait=True))


def test_what_waits_for_a_stopped_process_is_let_go(task, other, settings):
    settings.LEASE_SECONDS = 0
    pipeline = other.pipeline()
    pipeline.__enter__()
    locked = other.execute(_LOCK)
    assert locked.fetchall() == [(1,)]  # flushed, and no end of it sent
    with pytest.raises(OperationalError):
        lock_now()
    assert any(frozen.disconnect() for _ in _until_it_reads())
    with pytest.raises(psycopg.OperationalError):
        other.execute("SELECT 1").fetchall()
    lock_now()


def test_who_is_idle_in_a_transaction_or_waits_for_less_long_is_left(task, other, settings):
    other.execute(_LOCK)
    settings.LEASE_SECONDS = 0
    assert frozen.disconnect() == 0
    other.rollback()
    settings.LEASE_SECONDS = 30
    with other.pipeline():
        other.execute(_LOCK).fetchall()
        assert frozen.disconnect() == 0


def test_what_is_no_worker_is_left(task, settings):
    settings.LEASE_SECONDS = 0
    with psycopg.connect(**connection.get_connection_params()) as restore:
        restore.execute("CREATE TEMPORARY TABLE rows (value int)")
        with restore.cursor().copy("COPY rows FROM STDIN") as copy:
            copy.write("1\n")
            assert frozen.disconnect() == 0
