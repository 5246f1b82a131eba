"""Notices that this worker no longer takes messages from the broker, and ends it.

A Celery consumer may stop consuming for ever after a reconnect, while its process looks alive
(celery issues 8030, 8091 and 10205). So each worker sends itself a message, a canary, through a
queue of its own that its one consumer takes beside the bells.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.conf import settings
from kombu import Exchange, Queue

from agents import dispatch
from agents.dispatch import publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

logger = logging.getLogger(__name__)

TASK = "agents.canary"
PATIENCE = 3  # canaries in a row that were taken by the broker and never came back
LEFT_SECONDS = 120  # so long the broker keeps the queue of a worker that was killed
EXIT_CODE = os.EX_TEMPFAIL


class Patience:
    """Counts the canaries that did not come back; turns, not seconds: a paused process is no fault."""

    def __init__(self) -> None:
        self._lost = 0
        self._sent = False
        self._heard = threading.Event()

    def heard(self) -> None:
        """One came back; from any thread."""
        self._heard.set()

    def turn(self) -> bool:
        """Judge the turn that ends; tell whether patience is at an end."""
        if self._heard.is_set() or not self._sent:
            self._lost = 0
        else:
            self._lost += 1
        self._heard.clear()
        return self._lost >= PATIENCE

    def sent(self, *, taken: bool) -> None:
        """One was sent: taken by the broker, or it is away, which is nobody's fault here."""
        self._sent = taken


class Canary:
    """One per worker process; `give_back` is called before the process ends, and must be bounded."""

    def __init__(self, give_back: Callable[[], object]) -> None:
        self.queue = f"canary.{secrets.token_hex(8)}"
        self.patience = Patience()
        self._give_back = give_back
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)

    def start(self, app: Celery) -> None:
        """Let the worker consume the canary's queue too, and begin; before it consumes."""
        queue = Queue(
            self.queue,
            routing_key=self.queue,
            no_ack=True,
            queue_arguments={**settings.QUEUE_ARGUMENTS, "x-expires": LEFT_SECONDS * 1000},
        )
        app.amqp.queues.select_add(queue)
        # After it was added, which gives it the usual exchange. By the nameless one: a binding in
        # Redis would stay when the worker is gone.
        queue.exchange = Exchange("")
        self._thread.start()

    def stop(self) -> None:
        """Worry no more; the worker ends."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(settings.CANARY_SECONDS):
            if self.patience.turn():
                self._end()
            self.patience.sent(taken=self._send())

    def _send(self) -> bool:
        try:
            with current_app.producer_pool.acquire(block=True, timeout=5) as producer:
                lives = settings.CANARY_SECONDS * PATIENCE
                publish(TASK, self.queue, expires=lives, producer=producer)
                self._let_it_expire(producer)
        except Exception as error:  # noqa: BLE001  # whatever the broker's client raises
            logger.warning("the broker takes no canary: %s", error)
            return False
        return True

    def _let_it_expire(self, producer: Any) -> None:
        # Redis knows nothing of x-expires; of a killed worker its last canary would stay for ever.
        if producer.connection.transport.driver_type == "redis":
            producer.channel.client.expire(self.queue, LEFT_SECONDS)

    def _end(self) -> None:
        logger.critical(
            "%s canaries in a row were sent and did not come back: this worker takes no messages "
            "from the broker. It gives its work back and ends, to be started again.",
            PATIENCE,
        )
        try:
            self._give_back()
            dispatch.let_ring()  # no exit handler does: others are to hear of what is given back
        finally:
            # Not sys.exit: the thread that would have to end is the one that hangs.
            logging.shutdown()
            os._exit(EXIT_CODE)


_here: list[Canary] = []


def start(app: Celery, *, give_back: Callable[[], object]) -> None:
    """Watch over this worker's consumer. Twice: nothing happens."""
    if not _here:
        _here.append(Canary(give_back))
        _here[0].start(app)


def heard() -> None:
    """Take note that a canary came back."""
    for canary in _here:
        canary.patience.heard()


def stop() -> None:
    """Stop watching: the worker ends, and its consumer before it."""
    for canary in _here:
        canary.stop()
