"""Tells whether what people spoke of still stands in a later version of the change, shown or not.

Where main has not changed the file meanwhile, a line of main has its number in both versions, so nothing
is guessed of it. A line that was added is found again by what stands around it or by its text (`anchoring`).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from approvals.anchoring import Spot
from approvals.matching import tells
from approvals.models import Side
from approvals.surroundings import begin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from approvals.anchoring import Anchors
    from approvals.lines import Line

_ALIKE = 0.5  # of the lines of a hunk that stand in a file: then it is the one they were moved to


class Became(StrEnum):
    """What became of a line."""

    SHOWN = "shown"  # it stands as it did
    UNSHOWN = "unshown"  # the same, but no hunk shows it any more
    BACK = "back"  # it was taken out, and is not any more
    GONE = "gone"
    UNTOLD = (
        "untold"  # lines that say the same stand there, and it says too little to be told from them
    )
    BINARY = "binary"  # its file has no lines any more


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a line, and where it is."""

    became: Became
    spot: Spot | None = None
    number: int = 0  # in the file as proposed, of a line that no hunk shows

    @property
    def stands(self) -> bool:
        """Tell whether it is as it was, as far as anybody can tell."""
        return self.became not in {Became.BACK, Became.GONE}


@dataclass(frozen=True, kw_only=True)
class Was:
    """A hunk of an earlier version, with what its file was then."""

    hunk: dict[str, Any]
    path: str
    old_path: str
    status: str
    old_blob: str
    beside: Collection[str]  # paths of all files of that version

    @property
    def origin(self) -> str:
        """Return its path on main, or nothing for a file that is new."""
        return "" if self.status == "added" else self.old_path or self.path


class Later:
    """A later version of the change; `read` gives the lines of its files, by their blobs, as far as it can.

    They are read at once, those `expect`ed, when the first is needed.
    """

    def __init__(
        self,
        files: Sequence[dict[str, Any]],
        anchors: Anchors,
        read: Callable[[list[str]], Mapping[str, Sequence[str]]],
    ) -> None:
        self._files, self._anchors, self._read = files, anchors, read
        self._of_main: dict[str, dict[int, tuple[str, Line]]] = {}
        self._expected: dict[str, None] = {}
        self._added: dict[str, frozenset[str]] = {}
        self._numbered: dict[tuple[str, str], dict[int, Line]] = {}
        self._moved: dict[str, dict[str, Any] | None] = {}

    @cached_property
    def _texts(self) -> Mapping[str, Sequence[str]]:
        return self._read(list(self._expected))

    def expect(self, was: Was) -> None:
        """Have the file of a hunk read with others, should main have changed it meanwhile."""
        file = self.file(was)
        if file is not None and not file["binary"] and file["old_blob"] != was.old_blob:
            self._expected[file["new_blob"]] = None

    def file(self, was: Was) -> dict[str, Any] | None:
        """Return what the file of a hunk is now, under whatever name."""
        for name in was.path, was.origin:
            for each in "path", "old_path":
                found = next((file for file in self._files if name and file[each] == name), None)
                if found is not None:
                    return found
        return None

    def line(self, was: Was, side: str, number: int) -> Fate:
        """Return what became of a line of the hunk."""
        line = self._lines(was, side).get(number)
        if line is None:  # the rows may not be what was sealed
            return Fate(became=Became.UNTOLD)
        fate = self._line(was, line, self.file(was))
        if fate.became == Became.GONE and (moved := self._moved_to(was)):
            spot = self._anchors.spot_of(was.hunk, Side.NEW, self._new(was, line).number, moved)
            return Fate(became=Became.SHOWN, spot=spot) if spot else fate
        return fate

    def _line(self, was: Was, line: Line, file: dict[str, Any] | None) -> Fate:
        if file is None:
            return Fate(became=_UNCHANGED[line.marker])
        if file["binary"]:
            return Fate(became=Became.BINARY)
        if line.marker != "+" and (fate := self._of_same_main(was, line, file)):
            return fate
        if line.marker == "-":
            return self._taken_out(was, line, file)
        return self._found(was, self._new(was, line), file)

    def _of_same_main(self, was: Was, line: Line, file: dict[str, Any]) -> Fate | None:
        """Tell of a line of main by its number there; None where it has to be looked for."""
        number = self._old(was, line).number
        if was.old_blob != file["old_blob"]:
            return None
        key, now = self._lines_of_main(file).get(number, ("", None))
        if now is None:
            if line.marker == "-":
                return Fate(became=Became.BACK)
            return Fate(became=Became.UNSHOWN, number=number + _shift(file, number))
        if now.text != line.text or (now.marker, line.marker) == ("-", " "):
            return None
        spot = Spot(hunk=key, side=Side.OLD, line=number)
        return Fate(became=Became.SHOWN if now.marker == line.marker else Became.BACK, spot=spot)

    def _taken_out(self, was: Was, line: Line, file: dict[str, Any]) -> Fate:
        spot = self._anchors.spot_of(was.hunk, Side.OLD, line.number, file)
        still = spot and self._lines_of_main(file)[spot.line][1].marker == "-"
        return Fate(became=Became.SHOWN if still else Became.BACK, spot=spot)

    def _found(self, was: Was, line: Line, file: dict[str, Any]) -> Fate:
        """Tell of a line of the new side by what stands around it, or by its text."""
        if spot := self._anchors.spot_of(was.hunk, Side.NEW, line.number, file):
            return Fate(became=Became.SHOWN, spot=spot)
        if not tells(line.text):
            near = self._near(was, file, Side.NEW)
            same = any(one.text == line.text for one in near)
            return Fate(became=Became.UNTOLD if same else Became.GONE)
        if line.marker == "+" or was.old_blob == file["old_blob"]:
            return Fate(became=Became.GONE)
        # Main has changed the file: the line may stand where no hunk is.
        texts = self._texts.get(file["new_blob"])
        if texts is None:
            return Fate(became=Became.UNTOLD)
        places = [at for at, text in enumerate(texts, 1) if text == line.text]
        at = min(places, key=lambda place: abs(place - line.number), default=0)
        return Fate(became=Became.UNSHOWN if at else Became.GONE, number=at)

    def hunk(self, was: Was) -> bool:
        """Tell whether the lines a hunk adds all stand as added, and those it takes out as taken out.

        Lines of others beside or between them change nothing about that.
        """
        file = self.file(was)
        if file is not None and (
            file["binary"] or _as_it_was(was, file) or self._changes(was, file, Side.NEW, Side.OLD)
        ):
            return True
        added = [line for line in self._anchors.lines_of(was.hunk, Side.NEW) if line.marker == "+"]
        moved = self._moved_to(was) if any(tells(line.text) for line in added) else None
        return moved is not None and self._changes(was, moved, Side.NEW)

    def around(self, was: Was) -> bool:
        """Tell whether lines a hunk showed around or between those it changes are others now."""
        file = self.file(was)
        if file is None or file["binary"] or was.old_blob != file["old_blob"]:
            return False
        if _as_it_was(was, file):
            return False
        # Of a file that is new, all lines.
        within = range(*self._ends(was)) if self._anchors.lines_of(was.hunk, Side.OLD) else None
        now = {row for hunk in file["hunks"] for row in _changed(hunk, within)}
        return not now <= set(_changed(was.hunk, None))

    def _changes(self, was: Was, file: dict[str, Any], *sides: str) -> bool:
        for side in sides:
            mine = [
                line.text for line in self._anchors.lines_of(was.hunk, side) if line.marker != " "
            ]
            telling = any(tells(text) for text in mine)
            # What says little stands in many places: it is looked for in its own only.
            lines = (line for _, line in self._anchors.lines_in(file, side))
            if mine and not _in_order(
                mine, lines if telling else self._near(was, file, side), telling=telling
            ):
                return False
        return True

    def _near(self, was: Was, file: dict[str, Any], side: str) -> Iterable[Line]:
        """Return the lines of the hunks that stand where one stood; of all, where main is another."""
        lines = self._anchors.lines_in(file, side)
        if was.old_blob != file["old_blob"]:
            return [line for _, line in lines]
        first, end = self._ends(was)
        touching = {
            hunk["id"]
            for hunk in file["hunks"]
            if begin_of(hunk, "old") <= end and first <= begin_of(hunk, "old") + hunk["old_lines"]
        }
        return [line for key, line in lines if key in touching]

    def _ends(self, was: Was) -> tuple[int, int]:
        """Return the numbers of the first line of main a hunk has, and of the one behind its last."""
        lines = self._anchors.lines_of(was.hunk, Side.OLD)
        behind = was.hunk["old_start"] + 1  # of no lines, git names the one before
        return (lines[0].number, lines[-1].number + 1) if lines else (behind, behind)

    def _moved_to(self, was: Was) -> dict[str, Any] | None:
        """Return the file, new to the change, that has most lines of a hunk: git knows it by no old name."""
        key = was.hunk["id"]
        if key not in self._moved:
            self._moved[key] = self._alike(was)
        return self._moved[key]

    def _alike(self, was: Was) -> dict[str, Any] | None:
        said = {
            line.text for line in self._anchors.lines_of(was.hunk, Side.NEW) if tells(line.text)
        }
        best, most = None, _ALIKE * len(said)
        for file in self._files:
            if file["path"] in was.beside or file["status"] not in {"added", "renamed"}:
                continue
            alike = len(said & self._adds(file))
            if said and alike >= most:
                best, most = file, alike
        return best

    def _adds(self, file: dict[str, Any]) -> frozenset[str]:
        if file["path"] not in self._added:
            lines = self._anchors.lines_in(file, Side.NEW)
            self._added[file["path"]] = frozenset(
                line.text for _, line in lines if line.marker == "+"
            )
        return self._added[file["path"]]

    def _lines_of_main(self, file: dict[str, Any]) -> dict[int, tuple[str, Line]]:
        if file["path"] not in self._of_main:
            lines = self._anchors.lines_in(file, Side.OLD)
            self._of_main[file["path"]] = {line.number: (key, line) for key, line in lines}
        return self._of_main[file["path"]]

    def _old(self, was: Was, line: Line) -> Line:
        return self._beside(was, line, Side.OLD)

    def _new(self, was: Was, line: Line) -> Line:
        return self._beside(was, line, Side.NEW)

    def _beside(self, was: Was, line: Line, side: str) -> Line:
        """Return the line as the other side numbers it, where it stands on both."""
        if line.side == side or line.marker != " ":
            return line
        lines = self._anchors.lines_of(was.hunk, side)
        return lines[bisect_left(lines, line.at, key=lambda one: one.at)]

    def _lines(self, was: Was, side: str) -> dict[int, Line]:
        key = (was.hunk["id"], side)
        if key not in self._numbered:
            lines = self._anchors.lines_of(was.hunk, side)
            self._numbered[key] = {line.number: line for line in lines}
        return self._numbered[key]


# Of a file that is as on main again.
_UNCHANGED = {" ": Became.UNSHOWN, "-": Became.BACK, "+": Became.GONE}


def _as_it_was(was: Was, file: dict[str, Any]) -> bool:
    """Tell whether the very hunk is there: most are, and need not be read."""
    return any(
        hunk["text"] == was.hunk["text"] and hunk["old_start"] == was.hunk["old_start"]
        for hunk in file["hunks"]
    )


def _shift(file: dict[str, Any], number: int) -> int:
    """Return what to add to the number of a line of main for the one it has as proposed."""
    above = (hunk for hunk in file["hunks"] if begin_of(hunk, "old") + hunk["old_lines"] <= number)
    return sum(hunk["new_lines"] - hunk["old_lines"] for hunk in above)


def _changed(hunk: dict[str, Any], within: range | None) -> Iterator[tuple[str, str]]:
    """Yield the changes of a hunk that tell something, with their markers: within some lines of main, or all."""
    number = begin_of(hunk, "old") if within else 0
    for row in hunk["text"].removesuffix("\n").split("\n"):
        marker, text = row[:1], row[1:]
        inside = within is None or number in within
        if marker == "+" and within is not None:
            inside = within.start < number < within.stop  # it stands before that line of main
        if marker in {"+", "-"} and inside and tells(text):
            yield marker, text
        number += marker not in {"+", "\\"}


def _in_order(wanted: Sequence[str], lines: Iterable[Line], *, telling: bool) -> bool:
    """Tell whether lines stand among others in their order, as changes.

    Git takes a blank or a bracket for changed or for kept as its neighbours are, so beside lines that tell
    something such a one counts as either.
    """
    rest = iter(lines)
    return all(
        any(
            line.text == text and (line.marker != " " or (telling and not tells(text)))
            for line in rest
        )
        for text in wanted
    )
