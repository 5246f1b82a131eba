"""The one place that speaks to Kafka."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Producer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from countersign.sink.eventlog import Record

logger = logging.getLogger(__name__)

_ASK_SECONDS = 5.0
_FLUSH_SECONDS = 15.0  # longer than message.timeout.ms, which ends the wait
# Ours to set: without them a broker may lose or double what it said it has.
_ALWAYS = {"acks": "all", "enable.idempotence": True}
_USUALLY = {
    "client.id": "countersign",
    "linger.ms": 5,
    "message.timeout.ms": 10_000,
    "socket.connection.setup.timeout.ms": 5_000,
}


class KafkaAway(Exception):
    """The cluster does not take what is sent; the message says why."""


@dataclass(frozen=True)
class Sent:
    """How many of the records, from the first on without a gap, the cluster has confirmed."""

    count: int
    error: str = ""
    too_large: bool = False


class Kafka:
    """One connection to a cluster; after a fault, make another."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._producer = Producer({**_USUALLY, **options, **_ALWAYS}, logger=logger)

    def cluster(self) -> str:
        """Return the cluster's own id; raises KafkaAway."""
        try:
            found: Any = self._producer.list_topics(timeout=_ASK_SECONDS)
        except KafkaException as error:
            raise KafkaAway(_reason(error.args[0])) from error
        return str(found.cluster_id or "")

    def send(self, records: Sequence[Record]) -> Sent:
        """Send the records and wait until each is confirmed or refused."""
        outcomes: list[KafkaError | None] = [KafkaError(KafkaError._TIMED_OUT)] * len(records)
        for place, record in enumerate(records):
            if error := self._produce(record, place, outcomes):
                outcomes[place] = error
                break  # what comes after it must not overtake it
        if self._producer.flush(_FLUSH_SECONDS):
            self._producer.purge()
        return _judge(outcomes)

    def close(self) -> None:
        """Give up what is not sent."""
        self._producer.purge()
        self._producer.flush(1)

    def _produce(
        self, record: Record, place: int, outcomes: list[KafkaError | None]
    ) -> KafkaError | None:
        def confirmed(error: KafkaError | None, message: object) -> None:
            outcomes[place] = error

        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=[*record.headers],
                on_delivery=confirmed,
            )
        except KafkaException as error:
            refused: KafkaError = error.args[0]
            return refused
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)
        self._producer.poll(0)
        return None


def _judge(outcomes: Sequence[KafkaError | None]) -> Sent:
    for count, error in enumerate(outcomes):
        if error is not None:
            too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
            return Sent(count, _reason(error), too_large=too_large)
    return Sent(len(outcomes))


def _reason(error: KafkaError) -> str:
    return str(error.str()).rstrip(".")
