"""What a hunk says otherwise than in the version it is compared with: compared at once, drawn when shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.models import Hunk
from approvals import between
from approvals.models import Approval
from countersign.console import diff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agents.models import Proposal
    from approvals.matching import Allowance
    from countersign.console.hunks import FileView


@dataclass(frozen=True, kw_only=True)
class Between:
    """What differs between two versions of a hunk."""

    difference: between.Difference
    colours: Mapping[str, str]  # by the line

    @property
    def parts(self) -> list[tuple[diff.Block, ...]]:
        """Its lines, drawn when they are shown; the old side is the earlier version."""
        return [self._drawn(part) for part in self.difference.parts]

    def _drawn(self, part: between.Part) -> tuple[diff.Block, ...]:
        codes = "\n".join(self.colours.get(line[1:], "") for line in _lines(part.text))
        return diff.blocks(part.text, part.old_start, part.new_start, "", codes)


def tell(
    files: list[FileView], sealed: dict[str, Any], base: Proposal, allowance: Allowance
) -> None:
    """Give each hunk that took the place of one of the base what it says otherwise.

    Lines of a file that main itself changed meanwhile cannot be told apart from those of main without
    reading more than what was sealed. One that is of another file now is marked, and so are all of
    them where the base was never sealed.
    """
    shown = {file.path: file for file in files if file.new_count}
    earlier = _earlier(base)
    if earlier is None:
        for view in shown.values():
            view.not_compared = True
        return
    pairs = []
    for file in (file for file in sealed["files"] if file["path"] in shown):
        before = earlier.get(file["path"]) or earlier.get(file["old_path"])
        if before and before["old_blob"] == file["old_blob"]:
            pairs.append((shown[file["path"]], before, file))
        elif before and not shown[file["path"]].other_main:
            shown[file["path"]].not_compared = True
    coloured = _coloured(before for _, before, _ in pairs)
    for view, before, file in pairs:
        _tell(view, before, file, coloured, allowance)


def _tell(
    view: FileView,
    before: dict[str, Any],
    file: dict[str, Any],
    coloured: Mapping[str, str],
    allowance: Allowance,
) -> None:
    new = {hunk.id for hunk in view.hunks if hunk.is_new}
    found = between.differences(before["hunks"], file["hunks"], new, allowance)
    coloured = {**coloured, **{hunk.id: hunk.colours for hunk in view.hunks}}
    hunks = [*before["hunks"], *file["hunks"]]
    colours = _colours([(hunk["text"], coloured.get(hunk["id"], "")) for hunk in hunks])
    for hunk in view.hunks:
        if hunk.id in found:
            hunk.between = Between(difference=found[hunk.id], colours=colours)


def _colours(coloured: list[tuple[str, str]]) -> dict[str, str]:
    """Return how each line of hunks was coloured, by the line; on both sides alike, as most are."""
    return {
        line[1:]: code.rpartition("=")[2]
        for text, codes in coloured
        for line, code in zip(_lines(text), codes.split("\n"), strict=False)
    }


def _lines(text: str) -> list[str]:
    return [line for line in text.removesuffix("\n").split("\n") if line[:1] != "\\"]


def _earlier(base: Proposal) -> dict[str, dict[str, Any]] | None:
    """Return the files of the base as they were sealed, by path, also by the one before it."""
    sealed = Approval.objects.filter(proposal=base).order_by("-pk")
    files = sealed.values_list("snapshot__files", flat=True).first()
    if files is None:
        return None
    was = {file["old_path"]: file for file in files if file["old_path"]}
    return was | {file["path"]: file for file in files}


def _coloured(files: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the colours of hunks by their ids: all of them that is not of the seal."""
    ids = [hunk["id"] for file in files for hunk in file["hunks"]]
    rows = Hunk.objects.filter(pk__in=ids).values_list("pk", "colours") if ids else ()
    return {str(key): colours for key, colours in rows}
