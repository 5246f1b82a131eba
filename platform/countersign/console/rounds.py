"""Earlier rounds of a task: what was said, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.models import Hunk, Proposal
from approvals.models import Approval, Comment
from countersign.console import looks

if TYPE_CHECKING:
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


def new_hunks(approval: Approval) -> set[str] | None:
    """Return the ids of hunks the round before did not have; None in round 1."""
    before = _proposal_before(approval.proposal)
    if before is None:
        return None
    known = set(Hunk.objects.filter(file__proposal=before).values_list("digest", flat=True))
    rows = Hunk.objects.filter(file__proposal=approval.proposal_id).values_list("pk", "digest")
    return {str(key) for key, digest in rows if digest not in known}


def earlier_of(approval: Approval, files: list[FileView]) -> list[Earlier]:
    """Return the approvals before this one, newest first, with what became of each comment."""
    rows = list(
        Approval.objects.filter(task=approval.task_id, pk__lt=approval.pk)
        .select_related("decided_by", "proposal", "task")
        .prefetch_related("comments__hunk__file", "comments__author", "comments__goes_to")
        .defer("snapshot")
        .order_by("-pk")
    )
    if not rows:
        return []
    digests = set(
        Hunk.objects.filter(file__proposal=approval.proposal_id).values_list("digest", flat=True)
    )
    paths = {file.path: file.anchor for file in files}
    return [
        Earlier(
            approval=row,
            look=looks.of_approval(row),
            comments=[_said(comment, digests, paths) for comment in row.comments.all()],
        )
        for row in rows
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


def _proposal_before(proposal: Proposal) -> Proposal | None:
    if proposal.round == 1:
        return None
    return (
        Proposal.objects.filter(task=proposal.task_id, round__lt=proposal.round)
        .order_by("-round", "-version")
        .first()
    )
