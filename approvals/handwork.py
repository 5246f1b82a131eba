"""Which lines of a change people wrote themselves, by editing what was put up before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agents.models import Hunk, Proposal
from approvals.models import SEAL_OF_APPROVAL, Edit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Key = tuple[str, str, str]  # a changed line between those before and after it


def lines_of(proposal: Proposal, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of sealed hunks that an edit brought in, with the path and who edited it.

    What an agent wrote anew since is its own; a hunk is named by its place in its file, which is the same
    in each version that has the same hunks.
    """
    edits = (
        Edit.objects.filter(approval__task=proposal.task_id)
        .select_related("person", "approval__proposal")
        .defer(*SEAL_OF_APPROVAL)
        .order_by("-pk")
    )
    shown = {file["path"]: file for file in files}
    owned: dict[tuple[str, int], dict[int, str]] = {}
    for edit in edits:
        if file := shown.get(edit.path):
            brought = _Brought(edit)
            for position, hunk in enumerate(file["hunks"]):
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

    def __init__(self, edit: Edit) -> None:
        before = edit.approval.proposal
        later = Proposal.objects.filter(
            task=before.task_id, round=before.round, version__gt=before.version
        )
        after = later.order_by("version").first()
        was, now = _keys(before, edit.path), _keys(after, edit.path) if after else []
        lines = Counter(line for _, line, _ in now)
        lines.subtract(line for _, line, _ in was)
        self._lines = +lines
        self._keys = set(now) - set(was)

    def rows(self, text: str) -> Iterator[int]:
        """Yield which lines of a hunk are of them."""
        for row, key in enumerate(_around(text)):
            if key[1][:1] in {"+", "-"} and key in self._keys and self._lines[key[1]]:
                yield row


def _keys(proposal: Proposal, path: str) -> list[Key]:
    hunks = Hunk.objects.filter(file__proposal=proposal, file__path=path).order_by("position")
    texts: Iterable[str] = hunks.values_list("text", flat=True)
    return [key for text in texts for key in _around(text) if key[1][:1] in {"+", "-"}]


def _around(text: str) -> list[Key]:
    lines = text.removesuffix("\n").split("\n")
    return list(zip(["", *lines[:-1]], lines, [*lines[1:], ""], strict=True))
