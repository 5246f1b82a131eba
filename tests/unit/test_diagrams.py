"""The README shows the state machines as the code has them."""

from __future__ import annotations

from pathlib import Path

from countersign.diagrams import mermaid, shared_targets
from countersign.management.commands.draw_states import MACHINES, drawn

README = Path(__file__).parents[2] / "README.md"


def test_readme_is_drawn_from_the_code():
    text = README.read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in text for name in MACHINES)
    assert drawn(text) == text, "run: python manage.py draw_states"


def test_an_end_every_open_state_reaches_is_drawn_once():
    moves = {
        **{state: frozenset({"over", after}) for state, after in zip("abcd", "bcda", strict=True)},
        "over": frozenset(),
    }
    assert shared_targets(moves) == {"over"}
    assert mermaid(moves).count("over") == 1


def test_every_arrow_of_a_small_machine_is_drawn():
    moves = {"a": frozenset({"b", "c"}), "b": frozenset({"c"}), "c": frozenset()}
    assert all(arrow in mermaid(moves) for arrow in ("a --> b", "a --> c", "b --> c"))
