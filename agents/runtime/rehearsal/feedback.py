"""What a rehearsal can make of a reviewer's feedback: a few words it knows, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.runtime.rehearsal.answers import NO_MODEL, blocked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.runtime.rehearsal.scene import Move, Scene


def asked_for(scene: Scene, words: Sequence[str]) -> bool:
    """Tell whether any note of the feedback holds one of the words."""
    notes = " ".join(item.get("note", "") for item in scene.brief.get("feedback", [])).casefold()
    return any(word in notes for word in words)


def uninterpretable(scene: Scene, known: str) -> Move:
    """Say that this feedback means nothing to a script."""
    return blocked(
        scene,
        f"A rehearsal cannot interpret free feedback; it knows only {known}, and changed nothing. "
        f"{NO_MODEL}",
    )
