"""Runs programs of our own that read what others wrote: in a process with an end and no environment."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a program wrote, and whether that is all of it."""

    text: bytes
    whole: bool


def ask(program: str, asked: Any, *, seconds: float) -> Said:
    """Give a program, by its file, a question as JSON and return what it said within so many seconds. Blocks.

    What it said until it was ended, or failed, is kept.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own program, no shell
            [sys.executable, "-I", program],
            # As ASCII: half a character of a pair, which git can hold, is no UTF-8.
            input=json.dumps(asked).encode(),
            capture_output=True,
            env={},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return Said(text=late.stdout or b"", whole=False)
    return Said(text=done.stdout, whole=done.returncode == 0)
