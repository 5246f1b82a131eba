"""Celery tasks of the agents floor: the doorbell of the runtime, nothing else."""

from __future__ import annotations

from celery import shared_task

from agents.runtime import host

BELL_SECONDS = 30  # an older bell rings for work the poll has found long ago


@shared_task(
    name="agents.bell", queue="steps", expires=BELL_SECONDS, acks_late=False, ignore_result=True
)
def bell() -> None:
    """Wake the runtime of this process; the rows say what there is to do."""
    host.wake()
