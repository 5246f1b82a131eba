"""Tells which lines of a change differ in spaces only, where spaces have no meaning.

A hunk does not tell whether a text or a comment is open where it begins. So both sides of its file are read
from their first line (`languages`): what is around the hunks from the blob that is sealed, the old side with
what the hunks took out. Whatever cannot be told is shown: another language, a file too large, or one that
is not what the hunks say. Blanks that are none of the keyboard's are no spaces here: they are shown, and
warned of. The colours of a hunk have no say, for they are not sealed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.workspace.exceptions import GitFailed
from approvals import surroundings
from approvals.editing import REGULAR
from approvals.matching import tells
from countersign.console import diff, languages
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from approvals.matching import Allowance, Run
    from approvals.models import Approval
    from countersign.console.diff_rows import Raw
    from countersign.console.hunks import FileView

    Said = list[str]  # by line, from the first on


@dataclass(frozen=True, kw_only=True)
class Folds:
    """What of a page is folded."""

    lines: int = 0
    hunks: int = 0
    shown: int = 0  # files in which lines that look so are shown
    unread: bool = False  # git could not say what is around the hunks


def may_be_free(file: dict[str, Any], hunk: dict[str, Any]) -> bool:
    """Tell whether a sealed hunk can have lines that differ in meaningless spaces only."""
    return _language(file) is not None and _looks_free(hunk)


def fold(files: Sequence[FileView], approval: Approval, allowance: Allowance) -> Folds:
    """Have lines that differ in spaces only drawn apart, to be folded; say how many. Blocks: git."""
    views = {view.id: view for file in files for view in file.hunks}
    sealed = approval.snapshot["files"]
    try:
        texts, unread = surroundings.whole(approval, _wanted(sealed)), False
    except GitFailed:
        texts, unread = {}, True
    folds = Folds(unread=unread)
    for file in sealed:
        found = runs_of(file, texts.get(file["new_blob"]), allowance)
        for key, runs in found.items():
            views[key].draw = partial(views[key].draw, apart=runs)
        folds = _more(folds, file, found)
    return folds


def _more(folds: Folds, file: dict[str, Any], found: Mapping[str, tuple[Run, ...]]) -> Folds:
    shown = any(hunk["id"] not in found and _looks_free(hunk) for hunk in file["hunks"])
    return replace(
        folds,
        lines=folds.lines + sum(count for runs in found.values() for _, _, count in runs),
        hunks=folds.hunks + len(found),
        shown=folds.shown + shown,
    )


def _wanted(sealed: Iterable[dict[str, Any]]) -> list[str]:
    """Return the blobs of which lines are asked for that no hunk holds."""
    return list(
        dict.fromkeys(
            file["new_blob"]
            for file in sealed
            if _language(file) and any(gap.count for gap in _gaps(file, _last(file)))
        )
    )


def _language(file: dict[str, Any]) -> languages.Language | None:
    """Return the language of a file if it has the same on both sides, and is one that is read."""
    language = languages.of(file["path"])
    same = language is languages.of(file["old_path"] or file["path"]) and not file["binary"]
    return language if same and {file["old_mode"], file["new_mode"]} <= REGULAR else None


def _looks_free(hunk: dict[str, Any]) -> bool:
    lines = hunk["text"].split("\n")
    removed, added = ({line[1:] for line in lines if line[:1] == marker} for marker in "-+")
    before, now = (
        {line.replace(" ", "").replace("\t", "") for line in mine}
        for mine in (removed - added, added - removed)
    )
    return not before.isdisjoint(now)


def _last(file: dict[str, Any]) -> int:
    """Return how many hunks of a file there are up to the last that looks so."""
    looking = [number for number, hunk in enumerate(file["hunks"], 1) if _looks_free(hunk)]
    return max(looking, default=0)


def _gaps(file: dict[str, Any], count: int) -> list[surroundings.Gap]:
    return [surroundings.gap_above(file, position) for position in range(count)]


def runs_of(
    file: dict[str, Any], texts: Sequence[str] | None, allowance: Allowance
) -> dict[str, tuple[Run, ...]]:
    """Return the runs of lines that differ in spaces only, by numbers of lines, of hunks that have any.

    `texts` are the lines of the file as proposed; None if they are not known.
    """
    language = _language(file)
    sides = _sides(file, texts) if language else None
    if language is None or sides is None:
        return {}
    before, now = (languages.told(language, side, allowance) for side in sides)
    hunks = file["hunks"][: _last(file)]
    found = {hunk["id"]: _runs(hunk, (before, now), allowance) for hunk in hunks}
    return {key: runs for key, runs in found.items() if runs}


def _sides(file: dict[str, Any], texts: Sequence[str] | None) -> list[list[str]] | None:
    """Return both sides up to the last hunk that looks so; None where the file is not as the hunks say."""
    old: list[str] = []
    new: list[str] = []
    for hunk, gap in zip(file["hunks"], _gaps(file, _last(file)), strict=False):
        above = list((texts or ())[gap.first - 1 : gap.last])
        lines = [line for line in hunk["text"].split("\n")[:-1] if line[:1] != "\\"]
        mine = [line[1:] for line in lines if line[:1] != "-"]
        old += above
        new += above
        begins = [surroundings.begin_of(hunk, side) - 1 for side in ("old", "new")]
        if len(above) != gap.count or [len(old), len(new)] != begins:
            return None
        if texts and texts[len(new) : len(new) + len(mine)] != mine:
            return None
        old += [line[1:] for line in lines if line[:1] != "+"]
        new += mine
    return [[line.removesuffix("\r") for line in side] for side in (old, new)]


def _runs(hunk: dict[str, Any], said: tuple[Said, Said], allowance: Allowance) -> tuple[Run, ...]:
    changes = diff.changes(hunk["text"], hunk["old_start"], hunk["new_start"])
    return tuple(
        (old[left].number, new[right].number, count)
        for old, new in changes
        for left, right, count in _shared(old, new, said, allowance)
    )


def _shared(
    old: Sequence[Raw], new: Sequence[Raw], said: tuple[Said, Said], allowance: Allowance
) -> list[Run]:
    """Return the runs of two sides that say the same in other spaces.

    Beside other changes, a run of which no line tells much, as one of closing brackets, is left out:
    it is the same by chance.
    """
    before, now = (
        [_key(raw, side) for raw in raws] for raws, side in zip((old, new), said, strict=True)
    )
    if not before or not now:
        return []
    runs = allowance.shared(before, now)
    alone = runs == [(0, 0, len(before))] and len(before) == len(now)
    told = [
        run
        for run in runs
        if alone or any(tells(raw.text) for raw in old[run[0] : run[0] + run[2]])
    ]
    return [
        run
        for run in told
        if all(old[run[0] + at].text != new[run[1] + at].text for at in range(run[2]))
    ]


def _key(raw: Raw, said: Said) -> Hashable:
    """Return what a line is compared by; a line that is not told is like none."""
    if raw.number > len(said):
        return object()
    text = raw.text if characters.marks(raw.text) else said[raw.number - 1]
    return text, raw.returns, raw.ends_file
