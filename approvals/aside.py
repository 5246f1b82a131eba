"""Looks that may take long, each on a thread of its own: git that hangs must hold nothing else up."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0  # between two looks
_RESTS = 2  # times as long as a look took
_STOP_SECONDS = 5.0


class Aside:
    """One such look, which is asked again when it has rested: twice as long as it took."""

    def __init__(self, name: str, look: Callable[[Callable[[], bool]], object]) -> None:
        self._name = name
        self._looks = look
        self._looking = threading.Thread()
        self._stopping = threading.Event()
        self._rests_until = 0.0

    def due(self) -> bool:
        """Tell whether it has rested and the last look has ended."""
        return time.monotonic() >= self._rests_until and not self._looking.is_alive()

    def start(self) -> None:
        """Look once; returns at once."""
        self._looking = threading.Thread(target=self._look, name=self._name, daemon=True)
        self._looking.start()

    def stop(self) -> None:
        """Wait until what is in hand is done, but for a database that does not answer."""
        self._stopping.set()
        if self._looking.is_alive():
            self._looking.join(_STOP_SECONDS)

    def _look(self) -> None:
        began = time.monotonic()
        try:
            self._looks(self._stopping.is_set)
        except DatabaseError as error:
            logger.warning("%s: tried again later: %s", self._name, error)
        except Exception:
            logger.exception("%s met a fault", self._name)
        finally:
            connection.close()
        took = time.monotonic() - began
        self._rests_until = time.monotonic() + max(LOOK_SECONDS, _RESTS * took)
