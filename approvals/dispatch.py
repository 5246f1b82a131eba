"""Rings the effects worker; the only place that names its Celery task."""

from __future__ import annotations

import logging
import threading

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)

TASK = "approvals.bell"
QUEUE = "effects"
BELL_SECONDS = 30  # an older bell rings for effects the poll has found long ago


def ring_effects() -> None:
    """Wake the effects worker after commit; a lost bell costs half a second, never an effect."""
    transaction.on_commit(_ring, robust=True)


def _ring() -> None:
    # Off the caller's thread: a broker that does not answer must not hold up a decision.
    threading.Thread(target=_publish, name="effects-bell", daemon=True).start()


def _publish() -> None:
    try:
        current_app.send_task(TASK, queue=QUEUE, expires=BELL_SECONDS, retry=False)
    except Exception as error:  # noqa: BLE001  # whatever the broker's client raises
        logger.warning("the effects worker was not rung, its poll will find the work: %s", error)
