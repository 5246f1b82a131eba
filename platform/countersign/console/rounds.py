"""What was said of this and of earlier rounds, and what became of it: nothing of it is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from approvals import anchoring
from approvals.lifecycle import ApprovalState
from approvals.models import HunkVerdict, Side
from countersign.console import looks
from projects.characters import says_nothing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from agents.models import Hunk
    from approvals.anchoring import Anchors, Spot
    from approvals.models import Approval, Comment, Edit
    from countersign.console.hunks import FileView, HunkView


@dataclass(frozen=True, kw_only=True)
class Said:
    """One comment, with where it stands now."""

    comment: Comment
    path: str = ""
    where: str = ""  # on this page
    standing: str = ""  # addressed, open or disagreed; nothing where nothing was asked
    gone: bool = False  # the line it is on
    answer: str = ""  # of the agent
    spot: Spot | None = None
    round: int = 0  # it was said of

    @property
    def place(self) -> str:
        """Say which line it is on, as it was then."""
        comment = self.comment
        return f"line {comment.line} {Side(comment.side).label}" if comment.line else ""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """One approval of the task with its comments."""

    approval: Approval
    look: looks.Look
    comments: list[Said]
    edit: Edit | None = None  # which ended it


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The version of the change that is looked at."""

    sealed: dict[str, Any]
    files: list[FileView]
    digests: Mapping[str, str]  # of its hunks, by their ids
    answers: Mapping[str, dict[str, Any]]  # of agents, by the comment they answer
    anchors: Anchors

    def file(self, path: str) -> dict[str, Any] | None:
        """Return the sealed file that had this path, also under its new one."""
        files = self.sealed["files"]
        named = next((file for file in files if file["path"] == path), None)
        return named or next((file for file in files if file["old_path"] == path), None)

    def anchor(self, path: str) -> str:
        """Return where a file is on the page."""
        return next((file.anchor for file in self.files if file.path == path), "")


def earlier_of(
    approvals: Iterable[Approval], edits: Mapping[UUID, Edit], shown: Shown
) -> list[Earlier]:
    """Return approvals of the task, newest first, with what became of each comment."""
    return [
        Earlier(
            approval=row,
            look=looks.of_approval(row, edit=edits.get(row.pk)),
            comments=[_said(comment, row, shown) for comment in row.comments.all()],
            edit=edits.get(row.pk),
        )
        for row in approvals
    ]


def own_of(comments: Iterable[Comment], shown: Shown) -> list[Said]:
    """Return what was said of the very version that is shown."""
    return [_own(comment, shown) for comment in comments]


def put_on_lines(said: Iterable[Said], files: Iterable[FileView]) -> None:
    """Give each hunk what was said of its lines, by side and number."""
    hunks: dict[str, HunkView] = {hunk.id: hunk for file in files for hunk in file.hunks}
    for each in said:
        if each.spot is not None and each.spot.hunk in hunks:
            on = hunks[each.spot.hunk].said
            on.setdefault(f"{each.spot.side}-{each.spot.line}", []).append(each)


def _own(comment: Comment, shown: Shown) -> Said:
    if comment.hunk is None:
        return Said(comment=comment)
    key = str(comment.hunk_id)
    spot = None
    if comment.line is not None:
        spot = anchoring.Spot(hunk=key, side=comment.side, line=comment.line)
    return Said(comment=comment, path=comment.hunk.file.path, where=f"h-{key}", spot=spot)


def _said(comment: Comment, row: Approval, shown: Shown) -> Said:
    number = row.proposal.round
    answered = shown.answers.get(str(comment.pk), {})
    answer = answered.get("text", "")
    if comment.hunk is None:
        return Said(comment=comment, answer=answer, round=number)
    path, file = comment.hunk.file.path, shown.file(comment.hunk.file.path)
    spot = _spot(comment, file, shown)
    changed = spot is None if comment.line else comment.hunk.digest not in shown.digests.values()
    return Said(
        comment=comment,
        path=path,
        where=_where(comment, file, spot, shown),
        standing=_standing(answered, changed=changed) if _asks(comment, row) else "",
        gone=bool(comment.line) and spot is None,
        answer=answer,
        spot=spot,
        round=number,
    )


def _asks(comment: Comment, row: Approval) -> bool:
    """Tell whether it was sent to somebody; what goes to everybody who worked names no agent."""
    if comment.goes_to_id is not None:
        return True
    sent = row.state == ApprovalState.CHANGES_REQUESTED and comment.author_id == row.decided_by_id
    refused = comment.verdict == HunkVerdict.REFUSE
    told = comment.verdict != HunkVerdict.ACCEPT and not says_nothing(comment.note)
    return sent and (refused or told)


def _standing(answered: dict[str, Any], *, changed: bool) -> str:
    if changed:
        return "addressed"
    return "disagreed" if answered.get("verdict") == "disagree" else "open"


def _spot(comment: Comment, file: dict[str, Any] | None, shown: Shown) -> Spot | None:
    if comment.line is None or comment.hunk is None or file is None:
        return None
    return shown.anchors.spot_of(_as_sealed(comment.hunk), comment.side, comment.line, file)


def _where(comment: Comment, file: dict[str, Any] | None, spot: Spot | None, shown: Shown) -> str:
    """Return where to look: the hunk the line is in, the one that took its place, or the file."""
    if file is None or comment.hunk is None:
        return ""
    if spot is not None:
        return f"h-{spot.hunk}"
    line = comment.line or comment.hunk.new_start
    near = anchoring.nearest_hunk(comment.side or Side.NEW, line, file)
    return f"h-{near}" if near else shown.anchor(file["path"])


def _as_sealed(hunk: Hunk) -> dict[str, Any]:
    place = {"old_start": hunk.old_start, "new_start": hunk.new_start}
    return {"id": str(hunk.pk), **place, "text": hunk.text}
