"""The states of a memory and the moves between them."""

from __future__ import annotations

from django.db import models


class MemoryState(models.TextChoices):
    """Nothing reaches `active` without a human decision."""

    PROPOSED = "proposed", "Proposed"  # waits for a person
    QUARANTINED = "quarantined", "Quarantined"  # derived from tool or repository text
    ACTIVE = "active", "Active"  # confirmed by a person; recalled
    SUPERSEDED = "superseded", "Superseded"  # replaced by a newer version
    RETIRED = "retired", "Retired"  # no longer recalled; kept
    ERASED = "erased", "Erased"  # content gone; the row answers "it was forgotten"


MOVES: dict[str, frozenset[str]] = {
    MemoryState.PROPOSED: frozenset({MemoryState.ACTIVE, MemoryState.RETIRED, MemoryState.ERASED}),
    MemoryState.QUARANTINED: frozenset(
        {MemoryState.PROPOSED, MemoryState.RETIRED, MemoryState.ERASED}
    ),
    MemoryState.ACTIVE: frozenset(
        {MemoryState.SUPERSEDED, MemoryState.RETIRED, MemoryState.ERASED}
    ),
    MemoryState.SUPERSEDED: frozenset({MemoryState.ERASED}),
    MemoryState.RETIRED: frozenset({MemoryState.ACTIVE, MemoryState.ERASED}),
    MemoryState.ERASED: frozenset(),
}
TERMINAL = frozenset(state for state, targets in MOVES.items() if not targets)
