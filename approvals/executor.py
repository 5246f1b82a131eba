"""The one loop of an effects worker: seals, carries out, probes, expires; woken by a bell."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from approvals import comparing, effects, expiring, following, reminding, sealing
from approvals.aside import Aside
from approvals.calls import carrying as making
from approvals.calls import ending
from approvals.calls import sealing as calls
from approvals.hands import Hands
from projects import anchoring
from projects.connections import NEW_PLANS, preparing
from projects.pacing import Paced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
PAUSE_SECONDS = 2.0  # after a fault: a database that is away needs time, not questions
HANDS = 4  # projects whose effects are carried out side by side; each may hold a connection
CALLERS = 6  # agents' calls of tools outside made side by side; half of them at most at one server
TIDY_SECONDS = 2.0
WALK_SECONDS = 60.0
ANCHOR_SECONDS = 60.0  # so much of the audit log may be cut off unseen
BEAT_SECONDS = 5.0
BEAT_TTL_SECONDS = 15

# Of proposals the new ones only: to look at all that is in review takes a tenth of a second for each
# hundred thousand. And what is superseded is never sealed: it would be looked for turn after turn.
_LOOK = """
SELECT EXISTS (SELECT FROM agents_task WHERE state = 'executing')
    OR EXISTS (SELECT FROM approvals_effect WHERE state = 'doing'), EXISTS (
        SELECT FROM agents_proposal proposal JOIN agents_task task ON task.id = proposal.task_id
        WHERE proposal.id > %s AND task.state = 'review' AND NOT EXISTS (
            SELECT FROM approvals_approval approval WHERE approval.proposal_id = proposal.id)
        AND proposal.id = (
            SELECT newest.id FROM agents_proposal newest WHERE newest.task_id = task.id
            ORDER BY newest.round DESC, newest.version DESC LIMIT 1)),
       EXISTS (SELECT FROM agents_toolcall WHERE state = 'waiting')
    OR EXISTS (SELECT FROM approvals_callapproval WHERE state IN ('allowed', 'calling'))
"""


@dataclass(frozen=True, slots=True)
class _Work:
    """Whether there may be effects to carry out, proposals to seal, and calls to seal or make."""

    effects: bool
    seals: bool
    calls: bool


class Executor:
    """A thread that does one turn every half second, or when rung, until it is stopped."""

    def __init__(self, name: str = "") -> None:
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._rung = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="executor", daemon=True)
        self._hands = Hands(HANDS, self.wake)
        self._callers = Hands(CALLERS, self.wake)
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1
        )
        self._beat_at = 0.0
        self._tidied_at = -TIDY_SECONDS
        self._anchored_at = -ANCHOR_SECONDS
        self._anchoring = threading.Thread()
        self._work = _Work(effects=True, seals=True, calls=True)
        self._orphans = expiring.Orphans()
        mains, compared = following.Mains(), comparing.Known()
        self._asides = [
            Aside("follower", lambda stop: following.follow(mains, stop=stop)),
            Aside("comparer", lambda stop: comparing.compare(compared, stop=stop)),
        ]
        # It walks all that is in review, and finds what is not new: put back there by hand, or left
        # by a worker that was away.
        self._sealing = Paced(lambda: self._seal(sealing.seal_ready), least=TIDY_SECONDS)
        # The ledger marks what was stopped; this finds what it did not, and reads all that waits.
        self._leaving = Paced(ending.withdraw_left, least=WALK_SECONDS)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """Do a turn now; from any thread."""
        self._rung.set()

    def stop(self, *, seconds: float = 0.0) -> bool:
        """End after the effect in hand; wait so long and tell whether it has ended."""
        self._stopping.set()
        self._rung.set()
        if seconds and self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        connection.settings_dict = preparing(connection.settings_dict, plans=NEW_PLANS)
        while not self._stopping.is_set():
            healthy = self._turn()
            self._rung.wait(POLL_SECONDS if healthy else PAUSE_SECONDS)
            self._rung.clear()
        self._hands.close()
        for aside in self._asides:
            aside.stop()
        self._callers.close()
        self._forget_beat()
        connection.close()

    def _turn(self) -> bool:
        self._beat()
        went = [self._survive(part) for part in self._parts() if not self._stopping.is_set()]
        return all(went)

    def _parts(self) -> Iterator[Callable[[], object]]:
        yield self._look
        if self._work.effects:
            yield lambda: effects.carry_out_due(
                self.name, stop=self._stopping.is_set, hands=self._hands
            )
        if self._work.seals:
            yield lambda: self._seal(sealing.seal_new)
        if self._work.calls:
            yield calls.seal_waiting
            yield lambda: making.make_due(self.name, hands=self._callers)
        if self._sealing.due():
            yield self._sealing
        if self._leaving.due():
            yield self._leaving
        if time.monotonic() - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = time.monotonic()
            yield reminding.remind_due
            yield expiring.expire_due
            yield self._orphans.withdraw
            yield ending.expire_due
            yield ending.withdraw_stopped
        yield from (aside.start for aside in self._asides if aside.due())
        if time.monotonic() - self._anchored_at >= ANCHOR_SECONDS:
            self._anchored_at = time.monotonic()
            yield self._anchor

    def _anchor(self) -> None:
        """Keep the end of the audit log elsewhere; a file server that hangs holds nothing else up."""
        if self._anchoring.is_alive() or (anchor := anchoring.newest()) is None:
            return
        self._anchoring = threading.Thread(target=_keep, args=[anchor], name="anchor", daemon=True)
        self._anchoring.start()

    def _seal(self, search: Callable[[], int]) -> int:
        sealed = search()
        if sealed >= sealing.MOST:
            self.wake()  # there are more
        return sealed

    def _look(self) -> None:
        """Ask what there is to do: most turns find nothing, and one statement says so."""
        self._work = _Work(effects=True, seals=True, calls=True)  # should the question fail
        with connection.cursor() as cursor:
            cursor.execute(_LOOK, [sealing.new_since()])
            self._work = _Work(*cursor.fetchone())

    def _survive(self, part: Callable[[], object]) -> bool:
        """Run one part; a database outage or a fault costs this turn, never the loop."""
        try:
            part()
        except DatabaseError as error:
            logger.warning("the database did not answer, trying again: %s", error)
        except Exception:
            logger.exception("a turn of the effects worker failed")
        else:
            return True
        connection.close()
        return False

    def _beat(self) -> None:
        if time.monotonic() - self._beat_at < BEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        try:
            self._redis.set(self._key, int(time.time()), ex=BEAT_TTL_SECONDS)
        except redis.RedisError as error:
            logger.warning("the heartbeat was not written: %s", error)

    def _forget_beat(self) -> None:
        try:
            self._redis.delete(self._key)
        except redis.RedisError as error:
            logger.info("the heartbeat was not removed, it ends by itself: %s", error)

    @property
    def _key(self) -> str:
        return f"cs:worker:effects:{self.name}"


def _keep(anchor: anchoring.Anchor) -> None:
    try:
        anchoring.keep(settings.AUDIT_ANCHORS, anchor)
    except BlockingIOError:
        logger.debug("another worker anchors the audit log")
    except OSError as error:
        logger.error("the end of the audit log is not anchored: %s", error)
