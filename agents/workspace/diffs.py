"""Reads what git says two trees differ in, with the exact text of every hunk."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from agents.workspace.recalling import BYTES_WEIGHT

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)", re.DOTALL)
_STATUS = {"A": "added", "D": "deleted", "M": "modified", "T": "modified", "R": "renamed"}

# What of git is read here.
COMMAND = (
    "diff-tree",
    "-r",
    "-z",
    "--raw",
    "-p",
    "-M",
    "--full-index",
    "-U3",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HunkDiff:
    """One hunk; `text` is what git prints below its @@ line, every line ended."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    section: str
    text: str
    digest: str  # of path and changed lines: equal across rounds and line shifts

    @property
    def lines(self) -> list[str]:
        """The lines of the hunk with their markers, without line ends."""
        return self.text.split("\n")[:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """One changed file. Empty strings where a side does not exist."""

    path: str
    old_path: str
    status: str  # added, modified, deleted, renamed
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str
    binary: bool = False
    hunks: list[HunkDiff] = field(default_factory=list)

    @property
    def added(self) -> int:
        """The number of lines added."""
        return sum(line.startswith("+") for hunk in self.hunks for line in hunk.lines)

    @property
    def removed(self) -> int:
        """The number of lines removed."""
        return sum(line.startswith("-") for hunk in self.hunks for line in hunk.lines)


def readable(raw: bytes) -> str:
    r"""Decode text of a repository; what is no UTF-8, and NUL, becomes visible as \xNN."""
    return raw.decode(errors="backslashreplace").replace("\0", "\\x00")


def read_diff(output: bytes) -> list[FileDiff]:
    """Parse `git diff-tree -r -z --raw -p`: the raw records, an empty one, then the patch."""
    entries, patch = _read_raw(output)
    sections = _sections(patch.split(b"\n"))
    return [_file(entry, sections) for entry in entries]


@dataclass(frozen=True, slots=True)
class _Entry:
    modes: tuple[str, str]
    blobs: tuple[str, str]
    letter: str
    paths: tuple[str, str]


def _read_raw(output: bytes) -> tuple[list[_Entry], bytes]:
    entries = []
    position = 0

    def take() -> str:
        nonlocal position
        end = output.index(b"\0", position)
        start, position = position, end + 1
        return output[start:end].decode(errors="surrogateescape")

    while output[position : position + 1] == b":":
        old_mode, new_mode, old_blob, new_blob, status = take()[1:].split(" ")
        old = take()
        new = take() if status[0] in "RC" else old
        entries.append(_Entry((old_mode, new_mode), (old_blob, new_blob), status[0], (old, new)))
    return entries, output[position + 1 :] if output[position : position + 1] == b"\0" else b""


@dataclass(slots=True)
class _Section:
    binary: bool = False
    hunks: list[tuple[bytes, list[bytes]]] = field(default_factory=list)


def _sections(lines: list[bytes]) -> list[_Section]:
    """Split the patch by file. Hunks are taken by their counts, never by what lines look like."""
    sections: list[_Section] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"diff --git "):
            sections.append(_Section())
        elif line.startswith(b"Binary files "):
            sections[-1].binary = True
        elif line.startswith(b"@@ "):
            end = _hunk_end(line, lines, at)
            sections[-1].hunks.append((line, lines[at:end]))
            at = end
    return sections


def _hunk_end(header: bytes, lines: list[bytes], at: int) -> int:
    old, new = _counts(header)[1], _counts(header)[3]
    while old > 0 or new > 0:
        marker = lines[at][:1]
        old -= marker in b" -" and marker != b""
        new -= marker in b" +" and marker != b""
        at += 1
    while at < len(lines) and lines[at].startswith(b"\\"):
        at += 1
    return at


def _counts(header: bytes) -> tuple[int, int, int, int]:
    match = _HUNK.match(header)
    if not match:
        raise ValueError(f"git wrote no hunk header: {header!r}")
    a, b, c, d = match.groups()[:4]
    return int(a), int(b or 1), int(c), int(d or 1)


def _file(entry: _Entry, sections: list[_Section]) -> FileDiff:
    # A change of kind (file to symlink) is printed as a deletion and an addition.
    mine = [sections.pop(0)] if entry.letter != "T" else [sections.pop(0), sections.pop(0)]
    old, new = entry.paths
    return FileDiff(
        path=new,
        old_path=old if entry.letter == "R" else "",
        status=_STATUS[entry.letter],
        old_mode=entry.modes[0].replace("000000", ""),
        new_mode=entry.modes[1].replace("000000", ""),
        old_blob=entry.blobs[0].strip("0") and entry.blobs[0],
        new_blob=entry.blobs[1].strip("0") and entry.blobs[1],
        binary=any(section.binary for section in mine),
        hunks=[_hunk(new, *hunk) for section in mine for hunk in section.hunks],
    )


def _hunk(path: str, header: bytes, lines: list[bytes]) -> HunkDiff:
    match = _HUNK.match(header)
    old_start, old_lines, new_start, new_lines = _counts(header)
    changed = b"\n".join(line for line in lines if line[:1] in {b"+", b"-", b"\\"})
    name = path.encode(errors="surrogateescape")
    return HunkDiff(
        old_start=old_start,
        old_lines=old_lines,
        new_start=new_start,
        new_lines=new_lines,
        section=readable(match[5]) if match else "",
        text="".join(readable(line) + "\n" for line in lines),
        digest=hashlib.sha256(name + b"\0" + changed).hexdigest(),
    )


def weight_of(diffs: list[FileDiff]) -> int:
    """Return how much there is to remember of differences."""
    text = sum(len(hunk.text) for file in diffs for hunk in file.hunks)
    return len(diffs) + text // BYTES_WEIGHT
