"""Which verdicts on hunks of earlier versions hold for the version that is shown: of the same bytes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from approvals.models import HunkVerdict
from countersign.console import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from approvals.models import Approval, Comment
    from countersign.console.hunks import FileView
    from countersign.console.review_rows import Record
    from projects.models import User

    Sealed = tuple[dict[str, Any], dict[str, Any]]  # a file and a hunk of it

_SAID = {HunkVerdict.ACCEPT: "accepted", HunkVerdict.REFUSE: "refused"}


def keep(files: Iterable[FileView], record: Record, approval: Approval, user: User) -> None:
    """Tell each hunk what people had said of the very same; what this person accepted stays accepted.

    What was refused was sent back and is here again: whether that still stands is asked anew.
    """
    shown = {hunk.id: hunk for file in files for hunk in file.hunks}
    named = _by_name(approval, record.names)
    for row in reversed(record.earlier):
        for comment, hunk in _said(row, named, record):
            view = shown[hunk["id"]]
            mine = comment.author_id == user.pk
            view.before[comment.author_id] = _words(comment, row, approval, mine=mine)
            if mine:
                accepted = comment.verdict == HunkVerdict.ACCEPT
                view.verdict = HunkVerdict.ACCEPT.value if accepted else ""


def _by_name(approval: Approval, names: Mapping[str, str]) -> dict[str, list[Sealed]]:
    named: dict[str, list[Sealed]] = {}
    for file in approval.snapshot["files"]:
        for hunk in file["hunks"]:
            named.setdefault(names.get(hunk["id"], ""), []).append((file, hunk))
    return named


def _said(
    row: Approval, named: Mapping[str, list[Sealed]], record: Record
) -> Iterator[tuple[Comment, dict[str, Any]]]:
    """Yield each verdict of an earlier approval with the hunk it holds for, if there is one."""
    for comment in row.comments.all():
        if comment.verdict and comment.hunk is not None:
            alike = named.get(known.name_of(comment.hunk), [])
            for file, hunk in alike:
                if _is_otherwise(comment.hunk.file, file):
                    continue
                moved = len(alike) == 1 and _known_as_moved(row, file, hunk, record)
                if _in_place(comment.hunk, file, hunk) or moved:
                    yield comment, hunk


def _is_otherwise(before: Any, file: dict[str, Any]) -> bool:
    """Tell whether the same bytes do something else: as a program, or as where a link leads."""
    modes = (before.old_mode, before.new_mode)
    return modes != (file["old_mode"], file["new_mode"])


def _in_place(before: Any, file: dict[str, Any], hunk: dict[str, Any]) -> bool:
    """Tell whether two hunks of one name change the same bytes at the same place."""
    there = (before.file.old_blob, before.old_start)
    return there == (file["old_blob"], hunk["old_start"])


def _known_as_moved(
    row: Approval, file: dict[str, Any], hunk: dict[str, Any], record: Record
) -> bool:
    """Tell whether main only moved it since the version that is compared with, and none like it is gone."""
    base, compared = record.base, record.compared
    if base is None or compared is None or base.pk != row.proposal_id:
        return False
    path = file["path"]
    same = hunk["id"] not in compared.new and not compared.gone.get(path)
    return same and path in compared.other_main


def _words(comment: Comment, row: Approval, approval: Approval, *, mine: bool) -> str:
    who = "You" if mine else comment.author.display_name
    number = row.proposal.round
    when = f"in round {number}" if number != approval.proposal.round else "in an earlier version"
    return f"{who} {_SAID[HunkVerdict(comment.verdict)]} it {when}; it has not changed."
