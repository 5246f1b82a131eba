"""Rings the effects worker, after the commit."""

from __future__ import annotations

from django.db import transaction

from agents import dispatch
from agents.dispatch import BELL_SECONDS
from agents.dispatch import EFFECTS_QUEUE as QUEUE
from agents.dispatch import EFFECTS_TASK as TASK

__all__ = ["BELL_SECONDS", "QUEUE", "TASK", "ring_effects"]


def ring_effects() -> None:
    """Wake the effects worker after commit; a lost bell costs half a second, never an effect."""
    transaction.on_commit(dispatch.ring_effects, robust=True)
