"""Limits of tasks and steps as pure functions; the counters live in rows.

Defaults after the circuit-breaker rules of the architecture: 5 turns (Code and Test 12, set on
their versions), 8 steps, 3 rounds, 45 minutes a task, 10 minutes an attempt.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from decimal import Decimal

NAMES = ("seconds", "tokens", "usd", "rounds", "steps")
WARN_AT = 0.8  # of a limit: the meter turns amber and `limit.warned` is written

# More is surely a mistake; a plan has no room for more steps than this.
_MOST = {
    "seconds": 7 * 24 * 3_600,
    "tokens": 1_000_000_000,
    "usd": 100_000,
    "rounds": 20,
    "steps": 8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one task may use in all."""

    seconds: int = 2_700
    tokens: int = 600_000
    usd: float = 5.0
    rounds: int = 3
    steps: int = 8
    # Somebody asked for this much money: then a model without a price cannot be used. The default
    # is only a net below everything, and such a model counts as free.
    usd_set: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, *layers: dict[str, Any]) -> Limits:
        """Return the defaults overridden by each layer in turn; raises InvalidInput by name."""
        merged: dict[str, Any] = {}
        for name, value in (item for layer in layers for item in layer.items()):
            if name not in NAMES:
                raise InvalidInput("limits", f"There is no limit {name!r}; use {', '.join(NAMES)}.")
            merged[name] = _number(name, value)
        return cls(**merged, usd_set="usd" in merged)

    @classmethod
    def frozen(cls, stored: dict[str, Any]) -> Limits:
        """Return what was frozen on a task; a person may have raised it above what `of` takes."""
        return cls(**stored)

    def as_json(self) -> dict[str, Any]:
        """Return the form that is frozen on the task."""
        stored = asdict(self)
        return stored if self.usd_set else {name: stored[name] for name in NAMES}

    def above(self, ceiling: Limits) -> list[str]:
        """Return the names of the limits that are higher than those of `ceiling`."""
        return [name for name in NAMES if getattr(self, name) > getattr(ceiling, name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A limit that was reached."""

    rule: str
    name: str  # seconds, tokens, usd, turns
    limit: float
    used: float
    detail: str


def task_trip(limits: Limits, *, tokens: int, usd: Decimal | float, seconds: float) -> Trip | None:
    """Return the first task limit that is used up, or None."""
    rows = (
        ("wall_clock", limits.seconds, seconds, "seconds"),
        ("budget", limits.tokens, tokens, "tokens"),
        ("budget", limits.usd, float(usd), "usd"),
    )
    return next((_trip(*row) for row in rows if row[2] >= row[1]), None)


def attempt_trip(*, turns: int, max_turns: int, tokens: int, max_tokens: int) -> Trip | None:
    """Return the first limit of an attempt that is used up, or None."""
    rows = (("max_turns", max_turns, turns, "turns"), ("budget", max_tokens, tokens, "tokens"))
    return next((_trip(*row) for row in rows if row[2] >= row[1]), None)


def warns(*, used: float, limit: float) -> bool:
    """Tell whether so much is used that people should see it coming."""
    return used >= WARN_AT * limit


def _number(name: str, value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("limits", f"The limit {name} must be a number.")
    low, high = (0.01, _MOST["usd"]) if name == "usd" else (1, _MOST[name])
    if not low <= value <= high:  # false for NaN too
        raise InvalidInput("limits", f"The limit {name} must be from {low:g} to {high:,}.")
    return float(value) if name == "usd" else int(value)


def share(name: str, *, used: float, limit: float) -> str:
    """Return how much of a limit is used, as people read it."""
    return f"{_figure(used)} of {_figure(limit)} {'USD' if name == 'usd' else name} used"


def _figure(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _trip(rule: str, limit: float, used: float, name: str) -> Trip:
    detail = share(name, used=used, limit=limit)
    return Trip(rule=rule, name=name, limit=limit, used=used, detail=detail)
