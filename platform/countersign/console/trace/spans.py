"""A span: one bar of the waterfall, with what it took and used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from decimal import Decimal

    from agents.models import Agent, Step

AGENT, STEP, ATTEMPT, TURN, MODEL, TOOL = "agent", "step", "attempt", "turn", "model", "tool"
_LETTERS = {AGENT: "a", STEP: "s", ATTEMPT: "t", TURN: "n", MODEL: "m", TOOL: "c"}


def key_of(kind: str, pk: uuid.UUID, index: int | None = None) -> str:
    """Return a span's name in URLs: the random end of its row's id, unlike in one task."""
    end = f"{_LETTERS[kind]}{pk.hex[-12:]}"
    return end if index is None else f"{end}.{index}"


@dataclass(slots=True, kw_only=True, eq=False)
class Span:
    """One thing that ran. Times are seconds since the epoch; `end` of None: it still runs."""

    key: str
    kind: str
    title: str
    step: Step | None = None
    agent: Agent | None = None
    pk: uuid.UUID | None = None  # of its row: step, attempt, model call or tool call
    response: int | None = None  # of a turn and what is in it
    start: float | None = None  # None: it has not begun
    end: float | None = None
    input_tokens: int | None = None  # None: it uses none by its nature
    output_tokens: int | None = None
    usd: Decimal | None = None
    unpriced: bool = False
    retries: int = 0
    error: str = ""  # what went wrong, in a word or two; empty: nothing
    errors: int = 0  # in it and below
    note: str = ""
    parent: Span | None = None
    children: list[Span] = field(default_factory=list)

    def add(self, child: Span) -> Span:
        """Put a span below this one."""
        child.parent = self
        self.children.append(child)
        return child

    @property
    def running(self) -> bool:
        """Tell whether it has begun and not ended."""
        return self.start is not None and self.end is None

    @property
    def leaf(self) -> bool:
        """Tell whether it is a call, of a model or a tool."""
        return self.kind in (MODEL, TOOL)

    def seconds(self, now: float) -> float | None:
        """Return how long it took, or takes so far."""
        if self.start is None:
            return None
        return max(0.0, (now if self.end is None else self.end) - self.start)

    @property
    def tokens(self) -> int:
        """Return the tokens sent and received."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)
