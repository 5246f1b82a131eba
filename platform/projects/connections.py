"""How the processes that send the same few dozen statements all day connect to PostgreSQL."""

from __future__ import annotations

from typing import Any

_PREPARE_AFTER = 3  # times a statement was sent over a connection
# Lists are sent as arrays, and for a short one PostgreSQL would make a new plan each time.
_ONE_PLAN = "-c plan_cache_mode=force_generic_plan"


def preparing(given: dict[str, Any]) -> dict[str, Any]:
    """Return connection settings with which statements are prepared when they come again.

    To plan them anew took a tenth to a fifth of what they cost the server. A web server asks too many kinds.
    """
    more = {"server_side_binding": True, "prepare_threshold": _PREPARE_AFTER}
    options = {**more, **given["OPTIONS"]}
    options["options"] = f"{_ONE_PLAN} {options.get('options', '')}".strip()
    return {**given, "OPTIONS": options}
