"""The cursor of a feed: the seq of the last event a client has."""

from __future__ import annotations

from projects.exceptions import CountersignError

NEWEST = 2**63 - 1


class InvalidCursor(CountersignError):
    """The cursor must be the seq of an event: a whole number from 0."""


def cursor_of(text: str) -> int:
    """Return the cursor a client sent; raises InvalidCursor."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= NEWEST):
        raise InvalidCursor
    return int(text)
