"""The loop of the process that sends the event log to Kafka."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now

from countersign.models import SinkCursor
from countersign.sink import eventlog
from countersign.sink.kafka import Kafka, KafkaAway
from notices import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.sink.eventlog import Record

logger = logging.getLogger(__name__)

NAME = "kafka"
BATCH = 500
POLL_SECONDS = 0.5
STANDBY_SECONDS = 2.0
LONGEST_PAUSE = 30.0  # seconds between two tries while the cluster is away
PRESENCE = f"cs:worker:sink:{socket.gethostname()[:40]}:{os.getpid()}"
SHOW_SECONDS = 5.0
PRESENCE_SECONDS = 60  # longer than a pause and one batch may take together
_LOCK = 0x0C5A514B


class Overtaken(Exception):
    """Another process moved the cursor; only one may work at a time."""


class Publisher:
    """Sends what is new until it is stopped. Of several processes, one works and the others wait."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options
        self._kafka: Kafka | None = None
        self._away = 0  # how often in a row
        self._holds: object = None  # the connection that has the lock
        self._show_at = 0.0
        self._stopped = threading.Event()
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1
        )

    def stop(self) -> None:
        """End after the batch in hand; from a signal handler."""
        self._stopped.set()

    def run(self) -> None:
        """Work until stopped, whatever is away for a while."""
        while not self._stopped.is_set():
            self._show()
            self._stopped.wait(self._turn())
        self._quietly("delete", PRESENCE)
        self._forget()

    def once(self) -> int:
        """Send all there is now; return how many. Raises KafkaAway, LogRestored."""
        count = 0
        if not self._lock():
            return 0
        try:
            while sent := self.batch():
                count += sent
        finally:
            self._forget()
        return count

    def batch(self) -> int:
        """Send the next events and note how far they got; return how many. Raises KafkaAway."""
        cursor, _ = SinkCursor.objects.get_or_create(name=NAME)
        kafka = self._connected(cursor)
        records = eventlog.after(cursor, BATCH)
        if not records:
            return 0
        sent = kafka.send(records)
        if sent.count:
            advance(cursor, records[sent.count - 1])
        elif sent.too_large:
            return self._send_shortened(kafka, cursor, records[0])
        if sent.error and not sent.too_large:
            raise KafkaAway(sent.error)
        return sent.count

    def _send_shortened(self, kafka: Kafka, cursor: SinkCursor, record: Record) -> int:
        logger.warning("event %s is larger than the cluster takes, sent shortened", record.event)
        sent = kafka.send([record.shortened()])
        if sent.error:
            raise KafkaAway(sent.error)
        advance(cursor, record)
        return 1

    def _turn(self) -> float:
        """Do one batch; return how long to wait for the next."""
        try:
            if not self._lock():
                return STANDBY_SECONDS
            sent = self.batch()
        except KafkaAway as error:
            return self._pause(str(error))
        except (DatabaseError, Overtaken) as error:
            logger.warning("the place in the log was not moved, trying again: %s", error)
            connection.close()  # and with it the lock
            return STANDBY_SECONDS
        self._away = 0
        return 0.0 if sent else POLL_SECONDS

    def _pause(self, why: str) -> float:
        self._hang_up()
        pause = min(LONGEST_PAUSE, 0.5 * 2.0**self._away)
        self._away = min(self._away + 1, 10)
        logger.warning("Kafka takes nothing, trying again in %.1f s: %s", pause, why)
        return pause

    def _connected(self, cursor: SinkCursor) -> Kafka:
        if self._kafka is None:
            kafka = Kafka(self._options)
            aim(cursor, kafka.cluster())
            self._kafka = kafka
        return self._kafka

    def _hang_up(self) -> None:
        if self._kafka is not None:
            self._kafka.close()
            self._kafka = None

    def _lock(self) -> bool:
        """Tell whether this process is the one that works; the lock ends with its connection."""
        if self._holds is None or self._holds is not connection.connection:
            with connection.cursor() as database:
                database.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
                (locked,) = database.fetchone()
            self._holds = connection.connection if locked else None
        return self._holds is not None

    def _forget(self) -> None:
        self._hang_up()
        self._holds = None
        connection.close()

    def _show(self) -> None:
        if time.monotonic() >= self._show_at:
            self._show_at = time.monotonic() + SHOW_SECONDS
            self._quietly("set", PRESENCE, int(time.time()), PRESENCE_SECONDS)

    def _quietly(self, command: str, *arguments: str | int) -> None:
        try:
            getattr(self._redis, command)(*arguments)
        except redis.RedisError as error:
            logger.warning("the sign of life was not written: %s", error)


def advance(cursor: SinkCursor, to: Record) -> None:
    """Note that everything up to a record is there; raises Overtaken, so that none is left out."""
    here = SinkCursor.objects.filter(name=cursor.name, xact=cursor.xact, event=cursor.event)
    if not here.update(xact=to.xact, event=to.event, moved_at=Now()):
        raise Overtaken("another process moved it")


def aim(cursor: SinkCursor, cluster: str) -> None:
    """Begin at the start of the log where the cluster is another one than before."""
    if cluster == cursor.target:
        return
    if cursor.target:
        logger.warning("this is another Kafka cluster: the log is sent from its start")
        cursor.xact = cursor.event = 0
    cursor.target = cluster
    cursor.save()


@transaction.atomic
def renumber() -> int:
    """Give every event this server's transaction number and begin anew; return how many there are.

    For a database restored into another server, whose transactions count from elsewhere; needs
    the tables' owner. Consumers recognise by the key what they have; people are told of nothing
    again.
    """
    with connection.cursor() as database:
        database.execute("ALTER TABLE agents_event DISABLE TRIGGER append_only")
        database.execute("UPDATE agents_event SET xact = pg_current_xact_id()")
        count: int = database.rowcount
        database.execute("ALTER TABLE agents_event ENABLE TRIGGER append_only")
    SinkCursor.objects.filter(name=NAME).update(xact=0, event=0, moved_at=Now())
    reading.step_over_what_is_written()
    return count
