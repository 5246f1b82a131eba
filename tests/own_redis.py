"""A Redis of a test's own, which it may stop and start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from countersign.supervisor import redis_server
from tests.services import LONGEST

if TYPE_CHECKING:
    from pathlib import Path


class OwnRedis:
    """Runs while the `with` block does, on one port."""

    def __init__(self, folder: Path) -> None:
        self._server = redis_server.choose(folder, folder / "redis.log")
        self.url = self._server.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._child = self._server.child()
        self._child.start()
        deadline = time.monotonic() + LONGEST
        while not self._server.ready():
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self._child.stop(5)
