"""Why a standing grant was refused, in the reader's words."""

from __future__ import annotations

from projects.exceptions import CountersignError


class UnknownGrant(CountersignError, LookupError):
    """There is no such standing grant."""
