"""Hands a step to a person when a limit trips, and goes on as that person chooses."""

from agents.escalations.offering import TASK_GOES_ON, Company, candidates, offered, options_for
from agents.escalations.raising import TRIES, ask_for_settled, raise_for, raise_on
from agents.escalations.resolving import (
    MAX_NOTE,
    AlreadyAnswered,
    check_stop,
    explain,
    record,
    resolve,
)

__all__ = [
    "MAX_NOTE",
    "TASK_GOES_ON",
    "TRIES",
    "AlreadyAnswered",
    "Company",
    "ask_for_settled",
    "candidates",
    "check_stop",
    "explain",
    "offered",
    "options_for",
    "raise_for",
    "raise_on",
    "record",
    "resolve",
]
