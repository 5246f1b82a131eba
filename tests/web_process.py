"""The web server as a process of its own, on the test's own database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READY_SECONDS = 180  # where many begin at once, each reads its modules slowly


@contextmanager
def web(folder: Path, **settings: str) -> Iterator[str]:
    """Start it and give its address; its log is in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/countersign?", f"/{name}?"),
        "COUNTERSIGN_DATA_DIR": str(folder / "data"),
        **settings,
    }
    command = ["uvicorn", "countersign.asgi:application", "--port", str(port)]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _await(process, address, folder)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], address: str, folder: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5).close()  # noqa: S310  # our own
        except OSError:
            told = (folder / "web.log").read_text(errors="replace")
            assert process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
        else:
            return
