"""How a hook deep inside a run ends it with an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.runtime.contract import Interrupted

if TYPE_CHECKING:
    from agents.runtime.contract import Outcome


class Halted(Exception):
    """The run ends here; `outcome` says how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


def superseded() -> Halted:
    """Return the signal that this attempt no longer holds its step and must write nothing more."""
    return Halted(Interrupted())
