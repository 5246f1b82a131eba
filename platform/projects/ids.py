"""Time-ordered ids, made before the row so that a commit can carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uuid_utils.compat import uuid7 as _uuid7

if TYPE_CHECKING:
    import uuid


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7 (RFC 9562); Python 3.11 has none of its own."""
    return _uuid7()
