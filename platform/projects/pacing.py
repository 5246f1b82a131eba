"""Keeps a search that grows with the installation, and mostly finds nothing, to a share of the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_RESTS = 20  # times as long as it took


class Paced:
    """A search that found nothing rests twenty times as long as it took; one that found, not at all.

    It rests `least` seconds in any case.
    """

    def __init__(self, search: Callable[[], object], *, least: float = 0.0) -> None:
        self._search = search
        self._least = least
        self._rests_until = 0.0

    def due(self) -> bool:
        """Tell whether it has rested."""
        return time.monotonic() >= self._rests_until

    def __call__(self) -> None:
        """Search, whether it has rested or not."""
        began = time.monotonic()
        if not self._search():
            self.rest(time.monotonic() - began)

    def rest(self, seconds: float) -> None:
        """Rest after a look that took so long found nothing to search for."""
        self._rests_until = time.monotonic() + max(self._least, _RESTS * seconds)
