"""What is warned of a change, from its files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from agents import cautions
from agents.workspace.diffs import FileDiff

if TYPE_CHECKING:
    from agents.workspace.git import Store

# Nothing is read of a deleted file.
NOTHING_READ = cast("Store", None)


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("con\u200bfig.py", "hidden_character", "U+200B ZERO WIDTH SPACE, in the file's name"),
        ("inv\u202egnp.py", "hidden_character", "U+202E RIGHT-TO-LEFT OVERRIDE, in the file's"),
        ("b\u0456lling.py", "lookalike_character", "U+0456 CYRILLIC SMALL LETTER"),
    ],
)
def test_a_name_that_is_not_what_it_seems_is_warned_of(path, kind, text):
    (found,) = cautions.warnings_of(NOTHING_READ, [deleted(path)], planned=[])
    assert (found["kind"], found["path"], found["line"]) == (kind, path, 0)
    assert found["text"].startswith(text)


def test_a_plain_name_is_not():
    assert cautions.warnings_of(NOTHING_READ, [deleted("docs/über uns.md")], planned=[]) == []


def deleted(path: str) -> FileDiff:
    return FileDiff(
        path=path,
        old_path=path,
        status="deleted",
        old_mode="100644",
        new_mode="",
        old_blob="1" * 40,
        new_blob="",
    )
