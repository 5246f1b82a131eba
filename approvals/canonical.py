"""The one byte form of what is sealed or marked, and its digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(snapshot: dict[str, Any]) -> bytes:
    """Return the one byte form of a snapshot: sorted keys, no spaces, UTF-8; refuses floats."""
    _refuse_floats(snapshot)
    text = json.dumps(
        snapshot, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest_of(snapshot: dict[str, Any]) -> str:
    """Return the SHA-256 a signature of this snapshot covers."""
    return hashlib.sha256(canonical(snapshot)).hexdigest()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("A sealed snapshot holds no floats: their text form is not stable.")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
