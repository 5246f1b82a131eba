"""Celery tasks of the agents floor: the doorbell, and the life of the runtime it rings."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from agents import canary
from agents.dispatch import BELL_SECONDS, QUEUE, TASK
from agents.runtime import host


@shared_task(name=TASK, expires=BELL_SECONDS, acks_late=False, ignore_result=True)
def bell() -> None:
    """Wake the runtime of this process; the rows say what there is to do."""
    host.wake()


@shared_task(name=canary.TASK, acks_late=False, ignore_result=True)
def sing() -> None:
    """Say that this process takes messages from the broker."""
    canary.heard()


# Not `worker_ready`: that waits for the broker, and the runtime finds its work without.
@celeryd_after_setup.connect
def _start(instance: Any = None, **_: Any) -> None:
    """Start the runtime in a worker that consumes the steps queue, and in no other."""
    if QUEUE in instance.app.amqp.queues.consume_from:
        host.start()
        canary.start(instance.app, give_back=host.join)


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    canary.stop()
    host.drain()


@worker_shutdown.connect
def _wait(**_: Any) -> None:
    host.join()
