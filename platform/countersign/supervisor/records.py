"""The files a running `up` leaves in the data directory for other processes to read."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNTIME = "runtime.json"  # how to reach this Countersign; read by settings (see connections.py)
PROCESSES = "processes.json"  # process ids by name


def write_private(path: Path, text: str) -> None:
    """Replace `path` by a file only its owner reads; readers see the old text or the new."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def write_runtime(folder: Path, reach: Mapping[str, str]) -> None:
    """Say how to reach this Countersign, until `remove` is called."""
    write_private(folder / RUNTIME, json.dumps({"pid": os.getpid(), **reach}, indent=2) + "\n")


def write_processes(folder: Path, pids: Mapping[str, int | None]) -> None:
    """Say which processes run."""
    write_private(folder / PROCESSES, json.dumps(dict(pids), indent=2) + "\n")


def remove(folder: Path) -> None:
    """Take the files away: nothing runs any more."""
    for name in (RUNTIME, PROCESSES):
        (folder / name).unlink(missing_ok=True)
