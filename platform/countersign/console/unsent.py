"""What was typed into a decision that can no longer be made: shown once more, so that no words are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.http import QueryDict

    from countersign.console.hunks import FileView


def words_of(sent: QueryDict, files: Iterable[FileView]) -> str:
    """Return the note, the lesson and what was said of hunks and lines, each under its place.

    The files are those of the page, with what was typed put back beside their hunks.
    """
    said = [sent.get("note", ""), _under("Lesson", sent.get("lesson", "")), *_beside(files)]
    return "\n\n".join(text.replace("\r\n", "\n").strip() for text in said if text.strip())


def _beside(files: Iterable[FileView]) -> Iterator[str]:
    for file in files:
        path = characters.plain(file.path)
        for hunk in file.hunks:
            yield _under(f"{path} {hunk.header}", hunk.note)
            for one in hunk.typed:
                yield _under(f"{path}, line {one['line']}", one["note"])


def _under(place: str, text: str) -> str:
    return f"{place}:\n{text.strip()}" if text.strip() else ""
