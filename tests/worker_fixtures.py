"""Real Celery agent workers on the test's own database, gone when the test ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEASE = 3


class Workers:
    """Starts agent workers by name; a context manager."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        name = connection.settings_dict["NAME"]
        self.environment = {
            **os.environ,
            "DATABASE_URL": os.environ["DATABASE_URL"].replace("/countersign?", f"/{name}?"),
            "COUNTERSIGN_DATA_DIR": str(folder / "data"),
            "COUNTERSIGN_LEASE_SECONDS": str(LEASE),
            "COUNTERSIGN_HEARTBEAT_SECONDS": "1",
            "COUNTERSIGN_DRAIN_SECONDS": "2",
            **settings,
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, worker: str) -> subprocess.Popen[bytes]:
        command = "celery -A countersign worker -P threads -c 2 -Q steps --without-gossip -l INFO"
        with (self.folder / f"{worker}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    *command.split(),
                    "--without-mingle",
                    "-n",
                    f"{worker}@test",
                ],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            process.kill()
            process.wait(10)
        for log in sorted(self.folder.glob("*.log")):  # shown by pytest when the test has failed
            print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-60:], sep="\n")


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
