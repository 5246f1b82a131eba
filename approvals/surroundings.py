"""The lines around what a change touches, read from the very blobs that are sealed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.workspace.diffs import readable
from agents.workspace.exceptions import GitFailed
from agents.workspace.git import Store
from agents.workspace.sizes import sizes_of
from approvals.exceptions import RepositoryAway
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from approvals.models import Approval

AT_ONCE = 40  # lines
MAX_CHARACTERS = 100_000  # of these together; drawn, a hidden one is 200 times as long
MAX_BYTES = 2 * 1024 * 1024  # of the file
NONE_HERE = "There are no unchanged lines at this place of the change."
_CONTEXT = 3  # unchanged lines git shows around a change


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Unchanged lines between hunks, numbered as proposed; `last` is None to the end of the file."""

    first: int
    last: int | None
    shift: int  # what to add for the number a line has on main

    @property
    def count(self) -> int:
        """Return how many lines there are; 0 where nobody knows before the file is read."""
        return 0 if self.last is None else self.last - self.first + 1


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Some lines of a gap, and whether there are more on the way one goes."""

    first: int
    shift: int
    texts: list[str]
    more: bool


def gap_above(file: dict[str, Any], position: int) -> Gap:
    """Return what lies between a sealed hunk and the one before it, or the beginning of its file."""
    hunk = file["hunks"][position]
    first = _end(file["hunks"][position - 1], "new") if position else 1
    begin = begin_of(hunk, "new")
    return Gap(first=first, last=begin - 1, shift=begin_of(hunk, "old") - begin)


def gap_below(file: dict[str, Any]) -> Gap | None:
    """Return what follows the last hunk of a sealed file; None where the file ends with it."""
    hunk = file["hunks"][-1]
    lines = [line[:1] for line in hunk["text"].split("\n")[:-1]]
    if file["status"] in {"added", "deleted"} or lines[-_CONTEXT:] != [" "] * _CONTEXT:
        return None
    end = _end(hunk, "new")
    return Gap(first=end, last=None, shift=_end(hunk, "old") - end)


def nearest(file: dict[str, Any], number: int) -> tuple[str, str] | None:
    """Return the hunk of a sealed file next to an unchanged line, and the way from it to the line.

    None for a line that `read` cannot reach.
    """
    for position, hunk in enumerate(file["hunks"]):
        if gap_above(file, position).first <= number < begin_of(hunk, "new"):
            return hunk["id"], "above"
    below = gap_below(file) if file["hunks"] else None
    return (file["hunks"][-1]["id"], "below") if below and number >= below.first else None


def read(approval: Approval, hunk_id: str, at: int, *, below: bool) -> Lines:
    """Return at most `AT_ONCE` lines of the gap above a hunk, or below it, next to line `at`.

    Blocks: git. Raises InvalidInput for what is no place of this change, and what git says as
    RepositoryAway.
    """
    file, gap = _place(approval.snapshot, hunk_id, below=below)
    last = gap.last if gap.last is not None else at + AT_ONCE
    if not gap.first <= at <= last:
        raise InvalidInput("at", NONE_HERE)
    texts = _texts(approval, file["new_blob"])
    if below:
        found = _short(texts[at - 1 : at - 1 + AT_ONCE])
        return Lines(first=at, shift=gap.shift, texts=found, more=len(texts) >= at + AT_ONCE)
    first = max(gap.first, at - AT_ONCE + 1)
    found = _short(texts[first - 1 : at])
    return Lines(first=first, shift=gap.shift, texts=found, more=first > gap.first)


def whole(approval: Approval, blobs: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines of sealed files by their blobs, but for those that are no UTF-8.

    As many as are not too large together, in their order. Blocks: git. Raises GitFailed.
    """
    store = Store.of(approval.project)
    sizes = sizes_of(store, blobs)
    wanted, left = [], MAX_BYTES
    for blob in blobs:
        if (size := sizes.get(blob, MAX_BYTES + 1)) <= left:
            wanted.append(blob)
            left -= size
    texts = zip(wanted, store.blobs(wanted), strict=True)
    return {blob: _lines(content) for blob, content in texts if _is_text(content)}


def _is_text(content: bytes) -> bool:
    with contextlib.suppress(UnicodeDecodeError):
        return bool(content.decode()) and b"\0" not in content
    return False


def begin_of(hunk: dict[str, Any], side: str) -> int:
    """Return the number of the first line of a sealed hunk, or of the line behind where it has none."""
    # Of no lines, git names the line before them.
    return int(hunk[f"{side}_start"]) + (int(hunk[f"{side}_lines"]) == 0)


def _short(texts: list[str]) -> list[str]:
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise InvalidInput("at", "The lines here are too long to be shown around the change.")
    return texts


def _place(sealed: dict[str, Any], hunk_id: str, *, below: bool) -> tuple[dict[str, Any], Gap]:
    for file in sealed["files"]:
        for position, hunk in enumerate(file["hunks"]):
            if hunk["id"] == hunk_id:
                gap = _gap(file, position, below=below)
                if gap is None:
                    raise InvalidInput("at", NONE_HERE)
                return file, gap
    raise InvalidInput("hunk", "This hunk is not part of the change.")


def _gap(file: dict[str, Any], position: int, *, below: bool) -> Gap | None:
    if not below:
        return gap_above(file, position)
    # What is below another hunk is above the next, and asked for there.
    return gap_below(file) if position == len(file["hunks"]) - 1 else None


def _texts(approval: Approval, blob: str) -> list[str]:
    store = Store.of(approval.project)
    try:
        if sizes_of(store, [blob]).get(blob, MAX_BYTES + 1) > MAX_BYTES:
            raise InvalidInput("hunk", "This file is too large to show lines around the change.")
        [content] = store.blobs([blob])
    except GitFailed as error:
        raise RepositoryAway(
            "Git could not read this file. What is shown of the change is whole without it. Try again; "
            f"if it stays so, an admin can look at the project's repository. ({str(error)[:200]})"
        ) from error
    return _lines(content)


def _lines(content: bytes) -> list[str]:
    lines = content.split(b"\n")
    return [readable(line) for line in (lines[:-1] if lines[-1] == b"" else lines)]


def _end(hunk: dict[str, Any], side: str) -> int:
    return begin_of(hunk, side) + int(hunk[f"{side}_lines"])
