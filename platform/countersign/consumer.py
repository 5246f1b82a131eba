"""The part of a Celery worker that takes bells from the broker, without what bells do not need."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

if TYPE_CHECKING:
    from kombu import Connection

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 5  # at most, between two tries; the canary's patience is longer


class DoorbellConsumer(Consumer):
    """Consumes our queues over one connection and declares nothing else on the broker.

    Without events, gossip and mingle there are no transient queues, which RabbitMQ 4 no longer
    takes; without delayed delivery there are not 28 more queues for countdowns we never use.
    """

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc,valid-type]
        """The usual steps but two."""

        default_steps = [
            step
            for step in Consumer.Blueprint.default_steps
            if not step.endswith((":DelayedDelivery", ":Control"))
        ]

    task_consumer: Any  # set by Celery when it is connected

    def __init__(self, *arguments: Any, **options: Any) -> None:
        off = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}
        options["worker_options"] = {**(options.get("worker_options") or {}), **off}
        super().__init__(*arguments, **options)

    def create_task_handler(self, *given: Any, **more: Any) -> Any:
        """Return what takes messages, none of which is acknowledged: our queues want no answer.

        kombu's Redis would be told all the same, and its channel keep every tag for ever.
        """
        channel = self.task_consumer.channel
        channel.basic_ack = channel.basic_reject = _nothing
        return super().create_task_handler(*given, **more)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, trying every few seconds for as long as it takes.

        Celery's own way waits longer each time, and after a hundred times gives the worker up;
        but a worker whose broker is away still finds its work by the poll.
        """
        connected = conn.ensure_connection(
            partial(_tell, conn.as_uri()),
            interval_start=1,
            interval_step=1,
            interval_max=_RETRY_SECONDS,
            callback=maybe_shutdown,
        )
        self.first_connection_attempt = False
        return connected


def _nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


def _tell(where: str, error: Exception, seconds: float) -> None:
    logger.warning("no broker at %s, trying again in %.0f s: %s", where, seconds, error)
