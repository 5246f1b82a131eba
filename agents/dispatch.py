"""Rings the runtime's doorbell: off the caller's thread, coalesced, and never needed for safety."""

from __future__ import annotations

import atexit
import logging
import threading

from celery import current_app

logger = logging.getLogger(__name__)

TASK = "agents.bell"
QUEUE = "steps"
BELL_SECONDS = 30  # an older bell rings for work the poll has found long ago
_EXIT_SECONDS = 1.0  # a short-lived command waits this long for its last bell


class _Bell:
    """One thread per process that publishes; many rings meanwhile make one bell."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        self._idle.clear()
        self._rung.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._publish, name="bell", daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> None:
        self._idle.wait(seconds)

    def _publish(self) -> None:
        while self._rung.wait():
            self._rung.clear()
            try:
                current_app.send_task(TASK, queue=QUEUE, expires=BELL_SECONDS, retry=False)
            except Exception as error:  # noqa: BLE001  # whatever the broker's client raises
                logger.warning("bell not rung, the poll will find the work: %s", error)
            if not self._rung.is_set():
                self._idle.set()


_bell = _Bell()
atexit.register(_bell.wait, _EXIT_SECONDS)


def ring() -> None:
    """Say that there is work, after the commit; never blocks, never raises."""
    _bell.ring()
