"""How the processes that send the same few dozen statements all day connect to PostgreSQL."""

from __future__ import annotations

from typing import Any

_PREPARE_AFTER = 3  # times a statement was sent over a connection


def preparing(given: dict[str, Any]) -> dict[str, Any]:
    """Return connection settings with which statements are prepared when they come again.

    To plan them anew took a tenth to a fifth of what they cost the server. A web server asks too many kinds.
    """
    more = {"server_side_binding": True, "prepare_threshold": _PREPARE_AFTER}
    return {**given, "OPTIONS": {**more, **given["OPTIONS"]}}
