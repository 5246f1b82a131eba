"""`manage.py draw_states`: draws the state machines into the README from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from agents.lifecycle import STEP_MOVES, TASK_MOVES
from approvals.lifecycle import APPROVAL_MOVES, CALL_MOVES, EFFECT_MOVES
from countersign.diagrams import mermaid, replace_block

MACHINES = {
    "task states": TASK_MOVES,
    "step states": STEP_MOVES,
    "approval states": APPROVAL_MOVES,
    "effect states": EFFECT_MOVES,
    "call states": CALL_MOVES,
}


def drawn(text: str) -> str:
    """Return the text with every marked diagram drawn anew from the code."""
    for name, moves in MACHINES.items():
        text = replace_block(text, name, mermaid(moves))
    return text


class Command(BaseCommand):
    """Rewrite the diagrams between the markers of a Markdown file."""

    help = "Draw the state machines into README.md from the code."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rewrite README.md in the current folder."""
        readme = Path("README.md")
        readme.write_text(drawn(readme.read_text(encoding="utf-8")), encoding="utf-8")
        self.stdout.write("README.md shows the states as the code has them.")
