"""Rings the workers' doorbells: off the caller's thread, coalesced, and never needed for safety."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from celery import current_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

TASK = "agents.bell"
QUEUE = "steps"
# Named here, on the lower floor: a settled step may make work for the effects worker.
EFFECTS_TASK = "approvals.bell"
EFFECTS_QUEUE = "effects"
BELL_SECONDS = 30  # an older bell rings for work the poll has found long ago
_CONFIRM_SECONDS = 5.0  # a RabbitMQ short of memory or disk takes nothing and says nothing
# The first ring is a bell at once; those that follow so soon are one bell together: to take it costs
# a worker a millisecond.
_LATER_SECONDS = 0.05
_EXIT_SECONDS = 1.0  # a short-lived command waits this long for its last bells
# A connection that a restarted broker has closed is noticed by the first try only.
_AGAIN = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


@dataclass(eq=False)
class _Bell:
    """One thread per process and queue that publishes; many rings meanwhile make one bell."""

    task: str
    queue: str
    at_hand: list[Callable[[], object]] = field(default_factory=list)  # wake who does it right here
    _rung: threading.Event = field(default_factory=threading.Event)
    _idle: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._idle.set()

    def ring(self) -> None:
        for wake in self.at_hand:
            wake()
        if not self.at_hand:
            self.send()

    def send(self) -> None:
        self._idle.clear()
        self._rung.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                name = f"bell-{self.queue}"
                self._thread = threading.Thread(target=self._publish, name=name, daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> None:
        self._idle.wait(seconds)

    def _publish(self) -> None:
        while self._rung.wait():
            self._rung.clear()
            try:
                publish(self.task, self.queue, expires=BELL_SECONDS)
            except Exception as error:  # noqa: BLE001  # whatever the broker's client raises
                logger.warning("%s not rung, the poll will find the work: %s", self.task, error)
            if not self._rung.is_set():
                self._idle.set()
            time.sleep(_LATER_SECONDS)


_steps = _Bell(TASK, QUEUE)
_effects = _Bell(EFFECTS_TASK, EFFECTS_QUEUE)


@atexit.register
def let_ring() -> None:
    """Wait for the last bells of a process that ends, for all of them together."""
    deadline = time.monotonic() + _EXIT_SECONDS
    for bell in (_steps, _effects):
        bell.wait(max(0.0, deadline - time.monotonic()))


@contextmanager
def at_hand(wake: Callable[[], object]) -> Iterator[None]:
    """Call `wake` by every ring in this process meanwhile, in place of a bell; from any thread.

    What it cannot do itself it says to the others with `pass_on`.
    """
    _steps.at_hand.append(wake)
    try:
        yield
    finally:
        _steps.at_hand.remove(wake)


def ring() -> None:
    """Say that there is work for agents, after the commit; never blocks, never raises."""
    _steps.ring()


def pass_on() -> None:
    """Ring the other workers: what was rung for here is too much for this process."""
    _steps.send()


def ring_effects() -> None:
    """Say that there is work for the effects worker, after the commit, as `ring` does."""
    _effects.ring()


def publish(task: str, queue: str, *, expires: float, **options: Any) -> None:
    """Send one message now, trying twice; raises what the broker's client raises."""
    current_app.send_task(
        task,
        queue=queue,
        expires=expires,
        retry=True,
        retry_policy=_AGAIN,
        confirm_timeout=_CONFIRM_SECONDS,
        **options,
    )
