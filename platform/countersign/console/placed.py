"""Tells whether hunks stand where they stood in a file that main itself has changed since."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents.workspace.exceptions import GitFailed
from approvals import surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from approvals.models import Approval
    from countersign.console.known import Compared


def certain(compared: Compared, approval: Approval) -> Compared:
    """Count what may stand elsewhere as new: numbers of lines tell nothing where main has changed them.

    A hunk is where it was if the lines it begins from are in each of the two files of main once. What
    cannot be read is new. Blocks where main changed a file: git.
    """
    known = list(_known(compared, approval.snapshot))
    if not known:
        return compared
    blobs = [blob for _, *both in known for blob in both]
    try:
        found = surroundings.whole(approval, list(dict.fromkeys(blobs)))
    except GitFailed:
        found = {}
    texts = {blob: _text(lines) for blob, lines in found.items()}
    doubtful = {hunk["id"] for hunk, *both in known if not _once(hunk, both, texts)}
    return replace(compared, new=compared.new | doubtful)


def _known(
    compared: Compared, sealed: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield the hunks that count as known in such files, with the blobs of main then and now."""
    for file in sealed["files"]:
        if (before := compared.moved.get(file["path"])) is not None:
            hunks = (hunk for hunk in file["hunks"] if hunk["id"] not in compared.new)
            yield from ((hunk, before, file["old_blob"]) for hunk in hunks)


def _once(hunk: dict[str, Any], blobs: Sequence[str], texts: Mapping[str, str]) -> bool:
    lines = [line[1:] for line in hunk["text"].split("\n")[:-1] if line[:1] in {" ", "-"}]
    return bool(lines) and all(_stand_once(_text(lines), texts.get(blob, "")) for blob in blobs)


def _stand_once(wanted: str, text: str) -> bool:
    first = text.find(wanted)
    return first >= 0 and text.find(wanted, first + 1) < 0


def _text(lines: Sequence[str]) -> str:
    """Return lines so that some of them are found in others by whole lines only."""
    return "".join(f"\n{line}" for line in lines) + "\n"
