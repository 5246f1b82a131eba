"""What was said of this and of earlier rounds, and what became of it: nothing of it is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.workspace.exceptions import GitFailed
from approvals import anchoring, surroundings
from approvals.anchoring import Anchors
from approvals.lasting import Became, Fate, Later, Was
from approvals.lifecycle import ApprovalState
from approvals.models import HunkVerdict, Side
from countersign.console import looks
from projects.characters import says_nothing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from uuid import UUID

    from agents.models import Hunk
    from approvals.anchoring import Spot
    from approvals.matching import Allowance
    from approvals.models import Approval, Comment, Edit
    from countersign.console.answering_rows import Reply
    from countersign.console.hunks import FileView, HunkView


@dataclass(frozen=True, kw_only=True)
class Said:
    """One comment, with where it stands now."""

    comment: Comment
    path: str = ""
    where: str = ""  # on this page
    standing: str = ""  # addressed, open or disagreed; nothing where nothing was asked
    called_done: bool = False  # by all agents that were asked; addressed, it is by their word alone
    around: bool = False  # what the hunk showed around its own lines, which stand, is otherwise now
    became: str = ""  # of the line it is on, in words, where it is not shown as it was
    unfold: tuple[str, str, int] | None = None  # hunk, way and number: where the line can be read
    replies: Sequence[Reply] = ()
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
    replies: Mapping[str, Sequence[Reply]]  # of agents, by the comment they answer
    paths: Mapping[UUID, Collection[str]]  # of the files of earlier versions
    later: Later

    def anchor(self, path: str) -> str:
        """Return where a file is on the page."""
        return next((file.anchor for file in self.files if file.path == path), "")


def later_of(approval: Approval, allowance: Allowance) -> Later:
    """Return what is asked what became of earlier versions in this one. Blocks where main moved: git."""

    def read(blobs: list[str]) -> dict[str, list[str]]:
        try:
            return surroundings.whole(approval, blobs)
        except GitFailed:
            return {}

    return Later(approval.snapshot["files"], Anchors(allowance), read)


def earlier_of(
    approvals: Iterable[Approval], edits: Mapping[UUID, Edit], shown: Shown
) -> list[Earlier]:
    """Return approvals of the task, newest first, with what became of each comment."""
    approvals = list(approvals)
    for comment in (comment for row in approvals for comment in row.comments.all()):
        if comment.hunk is not None and comment.line:
            shown.later.expect(_was(comment.hunk, shown))
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
    number, asks = row.proposal.round, _asks(comment, row)
    replies = shown.replies.get(str(comment.pk), ())
    done = bool(replies) and all(reply.verdict == "done" for reply in replies)
    if comment.hunk is None:
        standing = _standing(replies, addressed=done) if asks else ""
        return Said(
            comment=comment,
            replies=replies,
            standing=standing,
            called_done=done,
            round=number,
        )
    was = _was(comment.hunk, shown, told=comment.verdict != HunkVerdict.ACCEPT)
    file, fate = shown.later.file(was), _fate(comment, was, shown)
    stands = fate.stands if fate else asks and shown.later.hunk(was)
    around = fate is None and stands and shown.later.around(was)
    return Said(
        comment=comment,
        path=was.path,
        where=_where(comment, file, fate, shown),
        standing=_standing(replies, addressed=around or not stands) if asks else "",
        around=around,
        called_done=done and stands,
        became=_WORDS.get(fate.became, "") if fate else "",
        unfold=_unfold(file, fate),
        replies=replies,
        spot=fate.spot if fate else None,
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


def _standing(replies: Iterable[Reply], *, addressed: bool) -> str:
    """Say how it stands: who disagrees is heard before anything that changed meanwhile."""
    if any(reply.verdict == "disagree" for reply in replies):
        return "disagreed"
    return "addressed" if addressed else "open"


_WORDS = {
    Became.UNSHOWN: "The line still stands, and no hunk shows it any more",
    Became.BACK: "The line is not taken out any more",
    Became.GONE: "The line is gone",
    Became.UNTOLD: "It cannot be told whether this line still stands",
    Became.BINARY: "The file is binary now, so its lines cannot be shown",
}


def _fate(comment: Comment, was: Was, shown: Shown) -> Fate | None:
    return shown.later.line(was, comment.side, comment.line) if comment.line else None


def _unfold(file: dict[str, Any] | None, fate: Fate | None) -> tuple[str, str, int] | None:
    if file is None or fate is None or not fate.number:
        return None
    place = surroundings.nearest(file, fate.number)
    return (*place, fate.number) if place else None


def _where(comment: Comment, file: dict[str, Any] | None, fate: Fate | None, shown: Shown) -> str:
    """Return where to look: the hunk the line is in, the one that took its place, or the file."""
    if fate is not None and fate.spot is not None:
        return f"h-{fate.spot.hunk}"
    if file is None or comment.hunk is None:
        return ""
    line = comment.line or comment.hunk.new_start
    near = anchoring.nearest_hunk(comment.side or Side.NEW, line, file)
    return f"h-{near}" if near else shown.anchor(file["path"])


def _was(hunk: Hunk, shown: Shown, *, told: bool = True) -> Was:
    """Return a hunk as it was; the lines of one that was merely accepted are not asked for."""
    file = hunk.file
    place = {"old_start": hunk.old_start, "new_start": hunk.new_start}
    return Was(
        hunk={"id": str(hunk.pk), **place, "text": hunk.text if told else ""},
        path=file.path,
        old_path=file.old_path,
        status=file.status,
        old_blob=file.old_blob,
        beside=shown.paths.get(file.proposal_id, ()),
    )
