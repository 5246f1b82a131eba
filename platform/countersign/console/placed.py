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
        texts = surroundings.whole(approval, list(dict.fromkeys(blobs)))
    except GitFailed:
        texts = {}
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


def _once(hunk: dict[str, Any], blobs: Sequence[str], texts: Mapping[str, list[str]]) -> bool:
    lines = [line[1:] for line in hunk["text"].split("\n")[:-1] if line[:1] in {" ", "-"}]
    return bool(lines) and all(_count(lines, texts.get(blob, [])) == 1 for blob in blobs)


def _count(lines: Sequence[str], text: Sequence[str]) -> int:
    """Return how often lines stand in a text in this order: 0, 1, or 2 for more."""
    within, wanted = (f"\n{chr(10).join(each)}\n" for each in (text, lines))
    first = within.find(wanted)
    return 0 if first < 0 else 1 + (within.find(wanted, first + 1) >= 0)
