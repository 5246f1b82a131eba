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


def feedback_of(comments: Iterable[Placed], *, by: User) -> Iterator[Feedback]:
    """Return what each comment asks of its agent."""
    comments = list(comments)
    hunks = Hunk.objects.select_related("author_step__agent", "file")
    rows = {str(pk): row for pk, row in hunks.in_bulk([one.said.hunk for one in comments]).items()}
    for one in comments:
        yield Feedback(
            agent_slug=one.agent,
            note=one.said.note.strip(),
            hunk=rows[one.said.hunk],
            path=one.path,
            by=by.display_name,
            place=one.place,
            line=one.line.text[:MAX_QUOTE],
        )


def keep(
    approval: Approval,
    decision: Decision,
    goes_to: dict[str, str],
    placed: Sequence[Placed],
    *,
    by: User,
) -> None:
    """Keep every word of a decision; of one that sends nothing back, it goes to nobody.

    In the caller's transaction. Raises InvalidInput for a hunk that is not sealed.
    """
    known = {hunk.id for hunk in sealed_hunks(approval.snapshot)}
    unknown = [hunk.id for hunk in decision.hunks if hunk.id not in known]
    if unknown:
        raise InvalidInput("hunks", f"This proposal has no hunk {unknown[0]}. Reload the page.")
    back = decision.verdict == SignatureVerdict.REQUEST_CHANGES
    slugs = {*goes_to.values(), *(one.agent for one in placed if back), *decision.agents}
    agents = {agent.slug: agent for agent in Agent.objects.filter(slug__in=slugs)}
    of_hunks = [
        {"hunk_id": hunk.id, "verdict": hunk.verdict, "note": hunk.note.strip()}
        | {"goes_to": agents.get(goes_to.get(hunk.id, ""))}
        for hunk in decision.hunks
        if hunk.verdict or hunk.note.strip()
    ]
    of_lines = [_on_line(one, agents.get(one.agent) if back else None) for one in placed]
    on_whole = _on_whole(decision, agents, slugs)
    Comment.objects.bulk_create(
        Comment(approval=approval, author=by, **facts)
        for facts in (*of_hunks, *of_lines, *on_whole)
    )


def _on_line(one: Placed, agent: Agent | None) -> dict[str, Any]:
    return {
        "hunk_id": one.said.hunk,
        "note": one.said.note.strip(),
        "goes_to": agent,
        "side": one.line.side,
        "line": one.line.number,
        "anchor": one.line.anchor,
        "quote": one.line.text[:MAX_QUOTE],
    }


def _on_whole(
    decision: Decision, agents: dict[str, Agent], concerned: set[str]
) -> list[dict[str, Any]]:
    if not decision.note.strip() or decision.verdict == SignatureVerdict.REJECT:
        return []
    readers = sorted(set(decision.agents) or concerned)
    only = agents.get(readers[0]) if len(readers) == 1 else None
    return [{"note": decision.note.strip(), "goes_to": only}]


def _missing(said: LineComment, path: str) -> str:
    if not path:
        return f"This proposal has no hunk {said.hunk[:64]}. Nothing changed; reload the page."
    which = Side(said.side).label
    return (
        f"The hunk of {path} you comment on has no line {said.line} {which}. "
        "Nothing changed; choose a line that it shows."
    )
