"""Keeps the end of the audit chain outside the database: who cuts the one does not cut the other.

A file of JSON lines that only grows; its place may be on another machine. Each line is logged too, so
that wherever logs are sent holds a copy.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from projects.models import AuditEntry

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_LAST_BYTES = 4_096  # of the file: a line has about 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The newest audit entry there was at a moment."""

    at: str
    entry: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the file holds: its anchors, and the numbers of lines that are none."""

    anchors: tuple[Anchor, ...]
    unreadable: tuple[int, ...]


def newest() -> Anchor | None:
    """Return the newest entry as an anchor of now; None while the log is empty."""
    row = AuditEntry.objects.order_by("-id").values_list("pk", "digest").first()
    return row and Anchor(at=timezone.now().isoformat(), entry=row[0], digest=row[1])


def keep(path: Path, anchor: Anchor) -> bool:
    """Append an anchor, on disk when this returns; False when its entry is the last line's already.

    Raises OSError when it cannot, and BlockingIOError while another process writes; then nothing was
    written. On a file server that is away it may hang: not for a thread that has other work.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        end = _end(file)
        if _last(end) == (anchor.entry, anchor.digest):
            return False
        _append(file, json.dumps(asdict(anchor)).encode() + b"\n", after=end)
    finally:
        os.close(file)
    logger.info("audit anchor: entry %s, digest %s", anchor.entry, anchor.digest)
    return True


def read(path: Path) -> Kept:
    """Return what the file holds; raises OSError, FileNotFoundError among them."""
    anchors: list[Anchor] = []
    unreadable: list[int] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            facts = json.loads(line)
            at, entry, digest = str(facts["at"]), int(facts["entry"]), str(facts["digest"])
        except (ValueError, TypeError, KeyError):
            unreadable.append(number)
        else:
            anchors.append(Anchor(at=at, entry=entry, digest=digest))
    return Kept(anchors=tuple(anchors), unreadable=tuple(unreadable))


def _append(file: int, line: bytes, *, after: bytes) -> None:
    """Write a whole line or, on a full disk, none."""
    size = os.fstat(file).st_size
    text = line if not after or after.endswith(b"\n") else b"\n" + line
    try:
        if os.write(file, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


def _last(end: bytes) -> tuple[Any, Any] | None:
    """Return entry and digest of the last line; an entry that was written anew is anchored anew."""
    lines = end.splitlines()
    try:
        last = json.loads(lines[-1]) if end.endswith(b"\n") else None
    except ValueError:
        return None
    return (last.get("entry"), last.get("digest")) if isinstance(last, dict) else None


def _end(file: int) -> bytes:
    size = os.fstat(file).st_size
    return os.pread(file, _LAST_BYTES, max(0, size - _LAST_BYTES))
