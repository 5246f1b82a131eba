"""Celery tasks of the approvals floor: the doorbell, and the life of the executor it rings."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from agents import canary
from approvals.dispatch import BELL_SECONDS, QUEUE, TASK
from approvals.executor import Executor

STOP_SECONDS = 8.0  # an effect in hand is finished; a longer one is probed after the restart

_running: list[Executor] = []


@shared_task(name=TASK, expires=BELL_SECONDS, acks_late=False, ignore_result=True)
def bell() -> None:
    """Wake the executor of this process; the rows say what there is to do."""
    for executor in _running:
        executor.wake()


# Not `worker_ready`: that waits for the broker, and the executor finds its work without.
@celeryd_after_setup.connect
def _start(instance: Any = None, **_: Any) -> None:
    """Start the executor in the worker that consumes the effects queue, and in no other."""
    if _running or QUEUE not in instance.app.amqp.queues.consume_from:
        return
    executor = Executor()
    executor.start()
    _running.append(executor)
    canary.start(instance.app, give_back=_wait_for_stop)


@worker_shutting_down.connect
def _ask_to_stop(**_: Any) -> None:
    canary.stop()
    for executor in _running:
        executor.stop()


@worker_shutdown.connect
def _wait_for_stop(**_: Any) -> None:
    for executor in _running:
        executor.stop(seconds=STOP_SECONDS)
    _running.clear()
