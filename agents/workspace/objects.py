"""Writes and reads git's loose objects, as `git hash-object -w` does, without a process for each."""

from __future__ import annotations

import hashlib
import os
import uuid
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_object(git_dir: Path, kind: str, body: bytes) -> str:
    """Store an object and return its name. Twice, or by two processes at once: the same object."""
    whole = f"{kind} {len(body)}\0".encode() + body
    name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()  # what git calls it
    folder = git_dir / "objects" / name[:2]
    place = folder / name[2:]
    if not place.exists():
        draft = folder / f"tmp_obj_{uuid.uuid4().hex}"  # git's own name for what is half written
        try:
            _write(draft, zlib.compress(whole, 1))
            os.replace(draft, place)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    return name


def _write(draft: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        handle = os.open(draft, flags, 0o444)
    except FileNotFoundError:
        draft.parent.mkdir(exist_ok=True)
        handle = os.open(draft, flags, 0o444)
    with open(handle, "wb", buffering=0) as file:
        written = file.write(content)
        while written < len(content):
            written += file.write(content[written:])


def read_object(git_dir: Path, name: str) -> tuple[str, bytes] | None:
    """Return the kind and body of a loose object; None where there is none, or it is damaged."""
    try:
        whole = zlib.decompress((git_dir / "objects" / name[:2] / name[2:]).read_bytes())
    except (OSError, zlib.error):
        return None
    header, _, body = whole.partition(b"\0")
    return header.partition(b" ")[0].decode("ascii", "replace"), body
