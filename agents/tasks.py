"""Celery tasks of the agents floor: the doorbell, and the life of the runtime it rings."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from agents.dispatch import BELL_SECONDS, QUEUE, TASK
from agents.runtime import host


@shared_task(name=TASK, expires=BELL_SECONDS, acks_late=False, ignore_result=True)
def bell() -> None:
    """Wake the runtime of this process; the rows say what there is to do."""
    host.wake()


@worker_ready.connect
def _start(sender: Any = None, **_: Any) -> None:
    """Start the runtime in a worker that consumes the steps queue, and in no other."""
    if QUEUE in sender.app.amqp.queues.consume_from:
        host.start()


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    host.drain()


@worker_shutdown.connect
def _wait(**_: Any) -> None:
    host.join()
