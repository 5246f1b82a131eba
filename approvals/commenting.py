"""Keeps what a reviewer said of the whole, of hunks and of lines, with the agent it goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.models import Agent, Hunk
from agents.rounds import Feedback
from approvals.decisions import sealed_hunks
from approvals.exceptions import NoSuchLine
from approvals.lifecycle import SignatureVerdict
from approvals.lines import line_at
from approvals.models import MAX_QUOTE, Comment, Side
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from approvals.decisions import Decision, LineComment
    from approvals.lines import Line
    from approvals.models import Approval
    from projects.models import User


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A comment on the sealed line it stands on, with the agent it is for."""

    said: LineComment
    line: Line
    path: str
    agent: str

    @property
    def place(self) -> str:
        """Say which line it is."""
        return f"line {self.line.number} {Side(self.line.side).label}"


def place(approval: Approval, comments: Sequence[LineComment]) -> list[Placed]:
    """Find the line of each comment in what is sealed, and whom it is for.

    Raises NoSuchLine naming the first that is not there, InvalidInput for an agent that took no part.
    """
    if not comments:
        return []
    snapshot = approval.snapshot
    hunks = {hunk["id"]: hunk for file in snapshot["files"] for hunk in file["hunks"]}
    sealed = {hunk.id: hunk for hunk in sealed_hunks(snapshot)}
    took_part = {agent["slug"] for agent in snapshot["agents"]}
    placed = []
    for said in comments:
        hunk = sealed.get(said.hunk)
        line = line_at(hunks[said.hunk], said.side, said.line) if hunk else None
        if hunk is None or line is None:
            raise NoSuchLine(_missing(said, hunk.path if hunk else ""))
        if said.goes_to and said.goes_to not in took_part:
            raise InvalidInput("comments", f"{said.goes_to!a} did not work on this.")
        agent = said.goes_to or hunk.agent
        placed.append(Placed(said=said, line=line, path=hunk.path, agent=agent))
    return placed


def feedback_of(
    comments: Iterable[Comment], placed: Sequence[Placed], *, by: User
) -> Iterator[Feedback]:
    """Return what each comment on a line asks of its agent; `comments` are those kept of `placed`."""
    hunks = Hunk.objects.select_related("author_step__agent", "file")
    rows = {str(pk): row for pk, row in hunks.in_bulk([one.said.hunk for one in placed]).items()}
    for comment, one in zip(comments, placed, strict=True):
        yield Feedback(
            agent_slug=one.agent,
            note=comment.note,
            hunk=rows[one.said.hunk],
            path=one.path,
            by=by.display_name,
            place=one.place,
            line=comment.quote,
            at=one.line.at,
            comment=str(comment.pk),
        )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The comments of a decision."""

    hunks: dict[str, Comment]  # by hunk
    lines: list[Comment]  # as they were placed
    whole: Comment | None


def keep(
    approval: Approval,
    decision: Decision,
    goes_to: dict[str, str],
    placed: Sequence[Placed],
    *,
    by: User,
) -> Kept:
    """Keep every word of a decision; of one that sends nothing back, it goes to nobody.

    In the caller's transaction. Raises InvalidInput for a hunk that is not sealed, or an agent that took
    no part.
    """
    _require_sealed(approval, decision)
    back = decision.verdict == SignatureVerdict.REQUEST_CHANGES
    slugs = {*goes_to.values(), *(one.agent for one in placed if back), *decision.agents}
    agents = {agent.slug: agent for agent in Agent.objects.filter(slug__in=slugs)}
    written = {"approval": approval, "author": by}
    kept = Kept(
        hunks={
            hunk.id: Comment(
                hunk_id=hunk.id,
                verdict=hunk.verdict,
                note=hunk.note.strip(),
                goes_to=agents.get(goes_to.get(hunk.id, "")),
                **written,
            )
            for hunk in decision.hunks
            if hunk.verdict or hunk.note.strip()
        },
        lines=[
            Comment(**_on_line(one), goes_to=agents.get(one.agent) if back else None, **written)
            for one in placed
        ],
        whole=_on_whole(decision, agents, slugs, written),
    )
    all_of_them = [*kept.hunks.values(), *kept.lines, kept.whole]
    Comment.objects.bulk_create(comment for comment in all_of_them if comment)
    return kept


def _require_sealed(approval: Approval, decision: Decision) -> None:
    known = {hunk.id for hunk in sealed_hunks(approval.snapshot)}
    took_part = {agent["slug"] for agent in approval.snapshot["agents"]}
    for hunk in decision.hunks:
        if hunk.id not in known:
            raise InvalidInput("hunks", f"This proposal has no hunk {hunk.id}. Reload the page.")
        if hunk.goes_to and hunk.goes_to not in took_part:
            raise InvalidInput("hunks", f"{hunk.goes_to!a} did not work on this.")


def _on_line(one: Placed) -> dict[str, Any]:
    return {
        "hunk_id": one.said.hunk,
        "note": one.said.note.strip(),
        "side": one.line.side,
        "line": one.line.number,
        "anchor": one.line.anchor,
        "quote": one.line.text[:MAX_QUOTE],
    }


def _on_whole(
    decision: Decision, agents: dict[str, Agent], concerned: set[str], written: dict[str, Any]
) -> Comment | None:
    if not decision.note.strip() or decision.verdict == SignatureVerdict.REJECT:
        return None
    if decision.verdict != SignatureVerdict.REQUEST_CHANGES:
        return Comment(note=decision.note.strip(), **written)
    readers = sorted(set(decision.agents) or concerned)
    only = agents.get(readers[0]) if len(readers) == 1 else None
    return Comment(note=decision.note.strip(), goes_to=only, **written)


def _missing(said: LineComment, path: str) -> str:
    if not path:
        return f"This proposal has no hunk {said.hunk[:64]}. Nothing changed; reload the page."
    which = Side(said.side).label
    return (
        f"The hunk of {path} you comment on has no line {said.line} {which}. "
        "Nothing changed; choose a line that it shows."
    )
