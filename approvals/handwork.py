"""Which lines of a change people wrote themselves, by editing what was put up before."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from agents.models import Hunk, Proposal
from approvals.models import SEAL_OF_APPROVAL, Edit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from uuid import UUID

    Key = tuple[str, str, str]  # a changed line between those before and after it


def lines_of(proposal: Proposal, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of sealed hunks that an edit brought in, with the path and who edited it.

    What an agent wrote anew since is its own; a hunk is named by its place in its file, which is the same
    in each version that has the same hunks. Three statements, however many edits there were.
    """
    shown = {file["path"]: file for file in files}
    edits = (
        Edit.objects.filter(approval__task=proposal.task_id, path__in=list(shown))
        .select_related("person", "approval__proposal")
        .defer(*SEAL_OF_APPROVAL)
        .order_by("-pk")
    )
    owned: dict[tuple[str, int], dict[int, str]] = {}
    for edit, brought in _brought(list(edits)):
        for position, hunk in enumerate(shown[edit.path]["hunks"]):
            rows = owned.setdefault((edit.path, position), {})
            for row in brought.rows(hunk["text"]):
                rows.setdefault(row, edit.person.display_name)
    return [
        {"path": path, "hunk": position, "person": person, "rows": sorted(mine)}
        for (path, position), rows in sorted(owned.items())
        for person in sorted(set(rows.values()))
        if (mine := [row for row, by in rows.items() if by == person])
    ]


class _Brought:
    """The changed lines that the version after an edit has, and the version before it had not."""

    def __init__(self, was: Iterable[Key], now: Collection[Key]) -> None:
        lines = Counter(line for _, line, _ in now)
        lines.subtract(line for _, line, _ in was)
        self._lines = +lines
        self._keys = set(now) - set(was)

    def rows(self, text: str) -> Iterator[int]:
        """Yield which lines of a hunk are of them."""
        for row, key in enumerate(_around(text)):
            if key[1][:1] in {"+", "-"} and key in self._keys and self._lines[key[1]]:
                yield row


def _brought(edits: Sequence[Edit]) -> Iterator[tuple[Edit, _Brought]]:
    """Yield each edit with what it brought: the version after it is the next of its round."""
    if not edits:
        return
    before = [edit.approval.proposal for edit in edits]
    versions = Proposal.objects.filter(task=before[0].task_id).only("round", "version")
    known = sorted((row.round, row.version, row.pk) for row in versions)
    after = {pk: later for (r, _, pk), (s, _, later) in pairwise(known) if r == s}
    keys = _keys([*(was.pk for was in before), *after.values()], {edit.path for edit in edits})
    for edit, was in zip(edits, before, strict=True):
        now = keys.get((after.get(was.pk), edit.path), [])
        yield edit, _Brought(keys.get((was.pk, edit.path), []), now)


def _keys(
    proposals: Iterable[UUID], paths: Iterable[str]
) -> dict[tuple[UUID | None, str], list[Key]]:
    """Return the changed lines by version and file."""
    hunks = Hunk.objects.filter(file__proposal__in=set(proposals), file__path__in=paths)
    found: dict[tuple[UUID | None, str], list[Key]] = {}
    for proposal, path, text in hunks.order_by("position").values_list(
        "file__proposal", "file__path", "text"
    ):
        changed = (key for key in _around(text) if key[1][:1] in {"+", "-"})
        found.setdefault((proposal, path), []).extend(changed)
    return found


def _around(text: str) -> list[Key]:
    lines = text.removesuffix("\n").split("\n")
    return list(zip(["", *lines[:-1]], lines, [*lines[1:], ""], strict=True))
