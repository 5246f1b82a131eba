"""Changes made of nothing but the files before and after, for those who look at changes."""

from __future__ import annotations

import difflib
import hashlib
from typing import TYPE_CHECKING, cast

from agents import cautions
from agents.workspace.diffs import FileDiff, HunkDiff, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agents.workspace.git import Store

MODE = "100644"


class Change:
    """Files before and after; what of git is asked for when they are looked at."""

    def __init__(self) -> None:
        self.files: list[FileDiff] = []
        self._contents: dict[str, bytes] = {}

    def file(
        self,
        path: str,
        *,
        old: bytes | str | None = None,
        new: bytes | str | None = None,
        was: str = "",
        mode: str = MODE,
        binary: bool = False,
    ) -> Change:
        """Add one file: `old` None is new, `new` None is deleted; `was`: renamed from there."""
        before, after = _bytes(old), _bytes(new)
        status = "renamed" if was else "added" if old is None else "deleted"
        self.files.append(
            FileDiff(
                path=path,
                old_path=was,
                status=status if was or old is None or new is None else "modified",
                old_mode="" if old is None else MODE,
                new_mode="" if new is None else mode,
                old_blob="" if old is None else self._keep(before),
                new_blob="" if new is None else self._keep(after),
                binary=binary,
                hunks=[] if binary or before == after else [_hunk(before, after)],
            )
        )
        return self

    def blobs(self, names: Iterable[str]) -> Iterator[bytes]:
        """Yield contents by their names, as a store does."""
        return (self._contents[name] for name in names)

    def warnings(self) -> list[cautions.Caution]:
        """Return what is warned of."""
        return cautions.warnings_of(cast("Store", self), self.files)

    def kinds(self) -> list[str]:
        """Return the kinds of what is warned of, in their order."""
        return [one["kind"] for one in self.warnings()]

    def _keep(self, content: bytes) -> str:
        name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self._contents[name] = content
        return name


def _bytes(text: bytes | str | None) -> bytes:
    return text.encode() if isinstance(text, str) else text or b""


def _hunk(before: bytes, after: bytes) -> HunkDiff:
    old, new = (_rows(content) for content in (before, after))
    same = 0  # of a long file most is as it was, and to compare that takes minutes
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    lines = [b" " + row for row in old[:same]]
    old, new = old[same:], new[same:]
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [b" " + row for row in old[a:b]]
        else:
            lines += [*(b"-" + row for row in old[a:b]), *(b"+" + row for row in new[c:d])]
    return HunkDiff(
        old_start=1 if before else 0,
        old_lines=same + len(old),
        new_start=1 if after else 0,
        new_lines=same + len(new),
        section="",
        text="".join(f"{readable(line)}\n" for line in lines),
        digest="",
    )


def _rows(content: bytes) -> list[bytes]:
    """Return lines without their ends; one that does not end is told as git tells it."""
    *rows, last = content.split(b"\n")
    return [*rows, last + b"\n\\ No newline at end of file"] if last else rows
