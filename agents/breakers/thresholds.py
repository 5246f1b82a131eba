"""How often is too often: the thresholds of the breakers, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When each rule warns and trips; what an agent's version does not set has a default.

    A rule warns one below where it trips, so that the model may turn back by itself.
    """

    repeats: int = 3  # the same call with the same result, in answers that ask for it
    window: int = 10  # calls looked back at
    polls: int = 30  # the same, of a tool whose use is to be asked again
    same_failures: int = 2  # the same call failed
    same_errors: int = 3  # failures of one class in a row
    alternations: int = 6  # calls that go A B A B A B
    visits: int = 3  # how often the files are as they were once before
    idle_turns: int = 2  # turns without anything new, then one more
