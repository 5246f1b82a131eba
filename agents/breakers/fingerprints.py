"""What makes two results the same result, and two errors one kind of error."""

from __future__ import annotations

import hashlib
import re

# Differs in every run and says nothing: durations, addresses in memory, names of scratch folders.
_FLEETING = re.compile(
    r'"seconds": [\d.]+|\b\d+(?:\.\d+)?\s?(?:ms|s|seconds?)\b|0x[0-9a-f]{6,}|/tmp/[\w./-]+'
)
_PREFIX = re.compile(r"^Error executing tool [\w.-]+: ")
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|'[^']*'")
_PARTICULAR = re.compile(r"\S*[\d/\\]\S*|\S+\.\w\S*")  # paths, numbers, names of files
_SENTENCE = re.compile(r"(?<=[.!?;:])\s")
_LONGEST = 80


def of_result(text: str) -> str:
    """Return the SHA-256 of what a tool gave, without what differs in every run."""
    return hashlib.sha256(_FLEETING.sub("·", text).encode(errors="replace")).hexdigest()


def of_error(text: str) -> str:
    """Return the class of a failure: its first sentence without the particulars of the call."""
    lines = _PREFIX.sub("", text.strip()).splitlines()
    first = _SENTENCE.split(lines[0], maxsplit=1)[0] if lines else ""
    general = _PARTICULAR.sub("…", _QUOTED.sub("…", first))
    return (" ".join(general.split()).rstrip(".!?;:") or "failed")[:_LONGEST]
