"""The loop that reads the log and sends what is due; receivers that hang hold nobody else up."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

from approvals.hands import Hands
from notices import delivering, reading, tidying

if TYPE_CHECKING:
    from collections.abc import Callable

    from notices.models import Delivery

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
PAUSE_SECONDS = 2.0  # after a fault: a database that is away needs time, not questions
TIDY_SECONDS = 3_600.0
# Apart, so that a mail server that hangs leaves webhooks alone.
HOOKS, MAILS = 8, 3
_AT_ONCE = 200


class Notifier:
    """A thread that does one turn each second until it is stopped; two processes may have one each."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._hooks = Hands(HOOKS, self._woken.set)
        self._mails = Hands(MAILS, self._woken.set)
        self._tidied_at = time.monotonic()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, *, seconds: float = 0.0) -> bool:
        """End after what is in hand; wait so long and tell whether it has ended.

        What is not sent by then is sent again by the next process.
        """
        self._stopping.set()
        self._woken.set()
        if seconds and self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            went = [self._survive(part) for part in (self._read, self._send, self._tidy)]
            self._woken.wait(POLL_SECONDS if all(went) else PAUSE_SECONDS)
            self._woken.clear()
        connection.close()
        self._hooks.close()
        self._mails.close()

    def _read(self) -> None:
        while reading.read_new() == reading.BATCH and not self._stopping.is_set():
            pass  # there is more

    def _send(self) -> None:
        for delivery in delivering.due(_AT_ONCE):
            if self._stopping.is_set():
                return
            self._hand_over(delivery)

    def _hand_over(self, delivery: Delivery) -> None:
        """Let a free hand send it; whose receiver is busy stays for a later turn."""
        hands = self._hooks if delivery.webhook_id else self._mails
        hands.take(delivery.receiver, partial(delivering.carry_out, delivery.pk))

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = time.monotonic()
            tidying.give_up_late()
            tidying.forget_old()

    def _survive(self, part: Callable[[], object]) -> bool:
        """Run one part; a database outage or a fault costs this turn, never the loop."""
        try:
            part()
        except DatabaseError as error:
            logger.warning("people are told later, the database did not answer: %s", error)
        except Exception:
            logger.exception("a turn of the notifier failed")
        else:
            return True
        connection.close()
        return False
