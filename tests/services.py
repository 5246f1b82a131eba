"""Starts real PostgreSQL and Redis for a test run, before Django reads its settings.

Loaded with `-p tests.services` (pyproject). Each run has its own data folder and ports; the
services are those of `manage.py up`, so they end with this process, however it ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from countersign.supervisor import redis_server
from countersign.supervisor.postgres import Postgres
from projects.signing_keys import public_half

if TYPE_CHECKING:
    from collections.abc import Callable

# A test database need not survive a power cut.
FAST = (
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
)
SIGNING_KEY = "a signing key of the tests, long enough"
LONGEST = 30  # seconds for a service to start


def start_postgres(folder: Path) -> str:
    """Start a server whose data lie in `folder`; return the owner's URL."""
    server = Postgres(folder=folder, log=folder / "postgres.log", extra=FAST)
    server.create()
    child = server.child()
    child.start()
    atexit.register(child.stop, 5)
    _until(server.ready)
    return server.url()


def start_redis(folder: Path) -> str:
    """Start a server; return its URL."""
    server = redis_server.choose(folder, folder / "redis.log")
    child = server.child()
    child.start()
    atexit.register(child.stop, 5)
    _until(server.ready)
    return server.url


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a service did not start within {LONGEST} s")
        time.sleep(0.02)


def _start() -> None:
    folder = Path(tempfile.mkdtemp(prefix="countersign-tests-"))
    folder.chmod(0o711)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith(("COUNTERSIGN_", "OPENAI_"))]:
        del os.environ[name]
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "SECRET_KEY"):
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ["COUNTERSIGN_DATA_DIR"] = str(folder / "data")
    os.environ["COUNTERSIGN_SIGNING_KEY"] = SIGNING_KEY
    os.environ["COUNTERSIGN_SIGNING_PUBLIC_KEYS"] = public_half(SIGNING_KEY)
    # WhiteNoise warns about a static root that `up` would have made.
    (folder / "data" / "static").mkdir(parents=True)
    os.environ["DATABASE_URL"] = start_postgres(folder)
    os.environ["REDIS_URL"] = start_redis(folder)


_start()
