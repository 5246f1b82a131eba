"""The life of the notifier: it runs in the worker that carries out effects, on threads of its own."""

from __future__ import annotations

from typing import Any

from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from approvals.dispatch import QUEUE
from notices.notifier import Notifier

STOP_SECONDS = 1.0  # what is on its way by then is sent again, under the same id

_running: list[Notifier] = []


@celeryd_after_setup.connect
def _start(instance: Any = None, **_: Any) -> None:
    """Start it in the worker that consumes the effects queue, and in no other."""
    if _running or QUEUE not in instance.app.amqp.queues.consume_from:
        return
    notifier = Notifier()
    notifier.start()
    _running.append(notifier)


@worker_shutting_down.connect
def _ask_to_stop(**_: Any) -> None:
    for notifier in _running:
        notifier.stop()


@worker_shutdown.connect
def _wait_for_stop(**_: Any) -> None:
    for notifier in _running:
        notifier.stop(seconds=STOP_SECONDS)
    _running.clear()
