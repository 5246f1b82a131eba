"""What a hunk says otherwise than in the version it is compared with: compared at once, drawn when shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from agents.models import Hunk
from approvals import between
from countersign.console import diff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.models import Proposal
    from approvals.matching import Allowance
    from countersign.console.hunks import FileView

_PLACE = ("old_start", "old_lines", "new_start", "new_lines", "text")
_OF_FILE = ("file__path", "file__old_path", "file__old_blob", "file__proposal")


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

    A file of which main itself changed meanwhile is only marked: its lines cannot be told apart
    from those of main without reading more than what was sealed.
    """
    shown = {file.path: file for file in files if file.new_count}
    earlier = _earlier(base, [*shown, *(file.old_path for file in shown.values() if file.old_path)])
    for file in (file for file in sealed["files"] if file["path"] in shown):
        before = earlier.get(file["path"]) or earlier.get(file["old_path"])
        if before and before[0].file.old_blob != file["old_blob"]:
            shown[file["path"]].other_main = True
        elif before:
            _tell(shown[file["path"]], before, file, allowance)


def _tell(view: FileView, before: list[Hunk], file: dict[str, Any], allowance: Allowance) -> None:
    rows = [{"id": row.pk, **{name: getattr(row, name) for name in _PLACE}} for row in before]
    new = {hunk.id for hunk in view.hunks if hunk.is_new}
    found = between.differences(rows, file["hunks"], new, allowance)
    coloured = {hunk.id: hunk.colours for hunk in view.hunks}
    colours = _colours([(row.text, row.colours) for row in before])
    colours |= _colours([(hunk["text"], coloured[hunk["id"]]) for hunk in file["hunks"]])
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


def _earlier(base: Proposal, paths: list[str]) -> dict[str, list[Hunk]]:
    """Return the hunks of the base in files of these paths, by path, also by the one before it."""
    if not paths:
        return {}
    of_files = Q(file__path__in=paths) | Q(file__old_path__in=paths)
    rows = Hunk.objects.filter(of_files, file__proposal=base).select_related("file")
    found: dict[str, list[Hunk]] = {}
    for row in rows.only(*_PLACE, "colours", *_OF_FILE).order_by("file__position", "position"):
        found.setdefault(row.file.path, []).append(row)
    for before in list(found.values()):
        if old_path := before[0].file.old_path:
            found.setdefault(old_path, before)
    return found
