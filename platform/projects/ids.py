"""Time-ordered ids, made before the row so that a commit can carry them."""

from __future__ import annotations

import time
import uuid

import uuid_utils
from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7 (RFC 9562); Python 3.11 has none of its own."""
    return _uuid7()


def uuid7_text() -> str:
    """Return a new UUIDv7 as it is written: a quarter of the cost where nothing else is done with it."""
    return str(uuid_utils.uuid7())


def floor(seconds: float) -> uuid.UUID:
    """Return what lies below every id that was made in the last seconds, by this machine's clock."""
    return uuid.UUID(int=int((time.time() - seconds) * 1000) << 80)
