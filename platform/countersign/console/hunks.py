"""The sealed change set as the page shows it: files, hunks, authors, anchors."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from approvals.editing import why_not_editable
from approvals.surroundings import AT_ONCE, gap_above, gap_below
from countersign.console import by_hand, diff, spaces
from countersign.console.reading_order import in_order, is_generated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from approvals.surroundings import Gap
    from countersign.console.known import Compared
    from countersign.console.rewritten import Between
    from countersign.console.rounds import Said

_COLLAPSE_ABOVE = 400  # changed lines; the file is folded, never cut


@dataclass(frozen=True, kw_only=True)
class Group:
    """Blocks of a hunk that stand together: as they are, or folded for they differ in spaces only."""

    blocks: list[diff.Block]
    folded: int = 0  # lines
    said: bool = False  # something of one of them


@dataclass(kw_only=True)
class HunkView:
    """One hunk with its author, its rows and what the reader said of it."""

    id: str
    header: str
    section: str
    author: dict[str, Any] | None
    colours: str
    draw: Callable[..., tuple[diff.Block, ...]]
    first: int  # line of the new side
    last: int
    kept_as: str = ""  # under which what is typed is kept: the same while its lines are the same
    free: bool = False  # spaces may have no meaning in it
    is_new: bool = False
    folded: bool = False  # it is as in the version that is compared with
    between: Between | None = None  # what it says otherwise than the version it is compared with
    verdict: str = ""
    before: dict[Any, str] = field(
        default_factory=dict
    )  # what was said of the very same, by person
    note: str = ""
    goes_to: str = ""  # slug of the agent the note is for; none: the author
    typed: list[dict[str, str]] = field(default_factory=list)  # on its lines
    above: Gap | None = None  # unchanged lines that are not shown
    below: Gap | None = None
    said: dict[str, list[Said]] = field(default_factory=dict)  # of its lines, by side and number

    @property
    def above_words(self) -> str:
        """Say how many of the lines above are shown next."""
        count = self.above.count if self.above else 0
        if count > AT_ONCE:
            return f"Show {AT_ONCE} of {count:,} lines above"
        return "Show 1 line above" if count == 1 else f"Show {count} lines above"

    @cached_property
    def blocks(self) -> tuple[diff.Block, ...]:
        """Its rows, drawn when they are shown: of a large change that is most of the work."""
        return self.draw()

    @property
    def groups(self) -> list[Group]:
        """Its blocks, with runs of those that differ in spaces only, where they are drawn apart."""
        runs = itertools.groupby(self.blocks, key=lambda block: block.spaces)
        return [self._group(spaces, list(blocks)) for spaces, blocks in runs]

    def _group(self, spaces: bool, blocks: list[diff.Block]) -> Group:  # noqa: FBT001
        if not spaces:
            return Group(blocks=blocks)
        rows = [row for block in blocks for row in block.rows]
        sides = [("old", row.old) for row in rows] + [("new", row.new) for row in rows]
        said = any(f"{side}-{line.number}" in self.said for side, line in sides if line)
        return Group(blocks=blocks, folded=len(rows), said=said)


@dataclass(kw_only=True)
class FileView:
    """One file of the change set."""

    anchor: str
    path: str
    old_path: str
    status: str
    added: int
    removed: int
    binary: bool
    mode: str
    hunks: list[HunkView]
    folded: str  # why: large, or generated
    viewed: bool = False  # by the person who asks
    editable: bool = False  # as far as the seal tells
    same: bool = False  # as in the version that is compared with; it is folded
    gone: int = 0  # hunks it had in that version
    otherwise: bool = False  # it differs from that version in what no hunk tells
    other_main: bool = False  # main changed it since the version that is compared with
    not_compared: bool = False  # with that version: it has another file there, or was not sealed

    def shows(self, line: int) -> bool:
        """Tell whether a line of the new side is on the page."""
        return any(hunk.first <= line <= hunk.last for hunk in self.hunks)

    @property
    def authors(self) -> list[dict[str, Any]]:
        """Return who wrote its hunks, each once."""
        wrote = [hunk.author for hunk in self.hunks if hunk.author and hunk.author["slug"]]
        names = ("slug", "person", "editors")
        return list({tuple(map(author.get, names)): author for author in wrote}.values())

    @property
    def new_count(self) -> int:
        """How many hunks the proposal before did not have."""
        return sum(hunk.is_new for hunk in self.hunks)

    @property
    def first_new(self) -> str:
        """Return where on the page the first thing stands that the proposal before did not have."""
        new = next((f"h-{hunk.id}" for hunk in self.hunks if hunk.is_new), "")
        return new or (self.anchor if self.gone or self.otherwise else "")


def files_of(
    sealed: dict[str, Any],
    compared: Compared | None,
    viewed: Collection[str],
    names: Mapping[str, str],
    colours: Mapping[str, str],
) -> list[FileView]:
    """Return the sealed files as they are read; `compared` with the proposal before, `viewed` are the
    paths that were looked at, `names` and `colours` are those of the hunks by their ids."""
    agents = {agent["slug"]: agent for agent in sealed["agents"]}
    anchored = anchors(sealed)
    new = compared.new if compared else frozenset[str]()
    shown = [_file(anchored[file["path"]], file, agents, new, colours) for file in in_order(sealed)]
    by_hand.tell(sealed, {hunk.id: hunk for file in shown for hunk in file.hunks})
    warned = {warning["path"] for warning in sealed["warnings"]}
    for file in shown:
        file.viewed = file.path in viewed
        if is_generated(file.path, warned):
            file.folded = "generated"
        if compared:
            file.gone = compared.gone.get(file.path, 0)
            file.otherwise = file.path in compared.otherwise
            file.other_main = file.path in compared.other_main
    _name_drafts(shown, names)
    return shown


def _name_drafts(files: list[FileView], names: Mapping[str, str]) -> None:
    seen: Counter[str] = Counter()
    for hunk in (hunk for file in files for hunk in file.hunks):
        name = names.get(hunk.id, hunk.id)
        seen[name] += 1
        hunk.kept_as = f"{name}-{seen[name]}"


def anchors(sealed: dict[str, Any]) -> dict[str, str]:
    """Return where each file of the page is, by path."""
    return {file["path"]: f"f{index}" for index, file in enumerate(in_order(sealed), 1)}


def _file(
    anchor: str,
    file: dict[str, Any],
    agents: dict[str, Any],
    new: Collection[str],
    colours: Mapping[str, str],
) -> FileView:
    hunks = [
        _hunk(hunk, agents, new, anchor, colours.get(hunk["id"], "")) for hunk in file["hunks"]
    ]
    for view, hunk in zip(hunks, file["hunks"], strict=True):
        view.free = spaces.may_be_free(file, hunk)
    _put_gaps(file, hunks)
    return FileView(
        anchor=anchor,
        path=file["path"],
        old_path=file["old_path"] if file["old_path"] != file["path"] else "",
        status=file["status"],
        added=file["added"],
        removed=file["removed"],
        binary=file["binary"],
        mode=_mode(file),
        hunks=hunks,
        folded="large" if file["added"] + file["removed"] > _COLLAPSE_ABOVE else "",
        editable=not why_not_editable(file),
    )


def _put_gaps(file: dict[str, Any], hunks: list[HunkView]) -> None:
    for position, hunk in enumerate(hunks):
        gap = gap_above(file, position)
        hunk.above = gap if gap.count > 0 else None
    if hunks:
        hunks[-1].below = gap_below(file)


def _hunk(
    hunk: dict[str, Any],
    agents: dict[str, Any],
    new: Collection[str],
    anchor: str,
    colours: str,
) -> HunkView:
    header = (
        f"@@ -{hunk['old_start']},{hunk['old_lines']} +{hunk['new_start']},{hunk['new_lines']} @@"
    )
    return HunkView(
        id=hunk["id"],
        header=header,
        section=hunk["section"],
        author=_author(hunk["author"], agents),
        colours=colours,
        draw=partial(
            diff.blocks, hunk["text"], hunk["old_start"], hunk["new_start"], anchor, colours
        ),
        first=hunk["new_start"],
        last=hunk["new_start"] + hunk["new_lines"] - 1,
        is_new=hunk["id"] in new,
    )


def _author(author: dict[str, Any] | None, agents: dict[str, Any]) -> dict[str, Any] | None:
    if not author:
        return None
    return {"person": "", "slug": author["agent"], **agents.get(author["agent"], {}), **author}


def _mode(file: dict[str, Any]) -> str:
    old, new = file.get("old_mode", ""), file.get("new_mode", "")
    if old and new and old != new and "000000" not in {old, new}:
        return f"mode {old} to {new}"
    return "executable" if new == "100755" and file["status"] == "added" else ""


def fold_known(files: list[FileView]) -> None:
    """Fold what is as it was in the version that is compared with; not what was said something of."""
    for file in files:
        for hunk in file.hunks:
            hunk.folded = not (hunk.is_new or hunk.said or hunk.typed)
        known = all(hunk.folded for hunk in file.hunks)
        file.same = known and not (file.gone or file.otherwise)
