"""Earlier rounds of a task: what was said, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from countersign.console import looks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from approvals.models import Approval, Comment
    from countersign.console.hunks import FileView


@dataclass(frozen=True, kw_only=True)
class Said:
    """One comment of an earlier round."""

    comment: Comment
    path: str
    where: str
    addressed: bool | None  # None: it was on the whole, or needs no change


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """One earlier approval of the task with its comments."""

    approval: Approval
    look: looks.Look
    comments: list[Said]


def earlier_of(
    approvals: Iterable[Approval], digests: set[str], files: Iterable[FileView]
) -> list[Earlier]:
    """Return the approvals before one, newest first, with what became of each comment.

    `digests` are those of the hunks it has.
    """
    paths = {file.path: file.anchor for file in files}
    return [
        Earlier(
            approval=row,
            look=looks.of_approval(row),
            comments=[_said(comment, digests, paths) for comment in row.comments.all()],
        )
        for row in approvals
    ]


def _said(comment: Comment, digests: set[str], paths: dict[str, Any]) -> Said:
    if comment.hunk is None:
        return Said(comment=comment, path="", where="", addressed=None)
    path = comment.hunk.file.path
    sent_back = comment.goes_to_id is not None
    changed = comment.hunk.digest not in digests
    return Said(
        comment=comment,
        path=path,
        where=paths.get(path, ""),
        addressed=changed if sent_back else None,
    )
