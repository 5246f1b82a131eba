"""The one asyncio thread of an agent worker process: started, woken and drained from outside."""

from __future__ import annotations


def wake() -> None:
    """Look for work now; from any thread."""
