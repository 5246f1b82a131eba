"""What a person submits as a decision, checked before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from approvals.lifecycle import SignatureVerdict
from approvals.models import HunkVerdict, Side
from memory.texts import MAX_CHARACTERS
from projects.characters import says_nothing
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_NOTE = 5_000
MAX_COMMENTS = 200  # of one decision, on lines
MAX_LESSON = MAX_CHARACTERS


@dataclass(frozen=True, kw_only=True)
class HunkDecision:
    """What a reviewer says of one hunk; without `goes_to` it is for the hunk's author."""

    id: str
    verdict: str = ""
    note: str = ""
    goes_to: str = ""


@dataclass(frozen=True, kw_only=True)
class LineComment:
    """What a reviewer says of one line of a hunk; without `goes_to` it is for the hunk's author."""

    hunk: str
    side: str
    line: int
    note: str
    goes_to: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A verdict on the whole with its notes; `agents` narrows who gets the general note.

    `together` is the audit entry of the act by which several were approved, if one did.
    """

    verdict: str
    note: str = ""
    hunks: Sequence[HunkDecision] = field(default=())
    comments: Sequence[LineComment] = field(default=())
    agents: Sequence[str] = field(default=())
    lesson: str = ""
    keep_lesson: bool = False
    address: str | None = None
    together: int | None = None
    confirmation: str = ""  # the task's label, where it has to be typed

    def __post_init__(self) -> None:
        """Raise InvalidInput naming the field that cannot be accepted."""
        if self.verdict not in SignatureVerdict.values:
            raise InvalidInput("verdict", f"Use one of {', '.join(SignatureVerdict.values)}.")
        _text("note", self.note, MAX_NOTE)
        _text("lesson", self.lesson, MAX_LESSON)
        for hunk in self.hunks:
            _text("hunks", hunk.note, MAX_NOTE)
            if hunk.verdict not in {"", *HunkVerdict.values}:
                raise InvalidInput("hunks", f"Use one of {', '.join(HunkVerdict.values)}.")
            if hunk.goes_to and hunk.verdict == HunkVerdict.ACCEPT:
                raise InvalidInput("hunks", "A note on a hunk you accept is sent to nobody.")
        if len({hunk.id for hunk in self.hunks}) != len(self.hunks):
            raise InvalidInput("hunks", "Each hunk may be named once.")
        _comments(self.comments)
        self._says_enough()

    @property
    def sent_back(self) -> list[HunkDecision]:
        """The hunks that go back to their agents: refused, or with a note and not accepted."""
        return [
            hunk
            for hunk in self.hunks
            if hunk.verdict == HunkVerdict.REFUSE
            or (not says_nothing(hunk.note) and hunk.verdict != HunkVerdict.ACCEPT)
        ]

    def _says_enough(self) -> None:
        refused = sum(hunk.verdict == HunkVerdict.REFUSE for hunk in self.hunks)
        if self.verdict == SignatureVerdict.APPROVE and refused:
            raise InvalidInput(
                "hunks", f"You refused {refused} of the hunks. Accept them or request changes."
            )
        if self.verdict == SignatureVerdict.REJECT and says_nothing(self.note):
            raise InvalidInput("note", "Say why you reject it; the reason is kept with the task.")
        if self.verdict != SignatureVerdict.REQUEST_CHANGES:
            return
        if not says_nothing(self.note):
            return
        if not self.sent_back and not self.comments:
            raise InvalidInput(
                "note",
                "Say what must change: in your note, in a note on a hunk, or on a line of one.",
            )
        if self._refused_unexplained:
            raise InvalidInput(
                "hunks",
                f"You refused {self._refused_unexplained} of the hunks without a word. Say what must "
                "change there: in its note, on a line of it, or in your note on the whole.",
            )

    @property
    def _refused_unexplained(self) -> int:
        """How many hunks are refused with no note of their own and no comment on a line of them."""
        told = {comment.hunk for comment in self.comments}
        refused = (hunk for hunk in self.hunks if hunk.verdict == HunkVerdict.REFUSE)
        return sum(says_nothing(hunk.note) and hunk.id not in told for hunk in refused)


@dataclass(frozen=True, kw_only=True)
class SealedHunk:
    """A hunk as the reviewer saw it."""

    id: str
    path: str
    agent: str


def sealed_hunks(snapshot: dict[str, Any]) -> Iterator[SealedHunk]:
    """Go through every hunk of a snapshot with its path and author agent's slug."""
    for file in snapshot["files"]:
        for hunk in file["hunks"]:
            author = hunk["author"] or {}
            yield SealedHunk(id=hunk["id"], path=file["path"], agent=author.get("agent", ""))


def _comments(comments: Sequence[LineComment]) -> None:
    if len(comments) > MAX_COMMENTS:
        raise InvalidInput("comments", f"Comment on at most {MAX_COMMENTS} lines at a time.")
    for comment in comments:
        _text("comments", comment.note, MAX_NOTE)
        if says_nothing(comment.note):
            raise InvalidInput("comments", f"The comment on line {comment.line} says nothing.")
        if comment.side not in Side.values:
            raise InvalidInput("comments", f"A side is one of {', '.join(Side.values)}.")


def _text(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise InvalidInput(name, f"Use at most {limit:,} characters; this has {len(text):,}.")
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidInput(name, "This holds characters that are not text. Remove them.")
