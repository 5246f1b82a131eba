"""Has the lines of a change coloured before anybody waits for its page, in a process that may not stay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agents import programs
from agents.workspace import lexing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.workspace.diffs import FileDiff

_SECONDS = 20  # for all files; a change of 2,000 lines takes less than half of one


def colours_of(diffs: Sequence[FileDiff]) -> list[list[str]]:
    """Return the codes of each hunk (`lexing`), by file; empty where it took too long. Blocks.

    Colours are no part of what is signed: without them lines are plain.
    """
    asked = [[diff.path, hunk.text] for diff in diffs for hunk in diff.hunks]
    said = iter(_said(asked) if asked else ())
    return [[next(said, "") for _ in diff.hunks] for diff in diffs]


def _said(asked: list[list[str]]) -> list[str]:
    said = programs.ask(lexing.__file__, asked, seconds=_SECONDS)
    whole, _, _ = said.text.rpartition(b"\n")
    return [str(json.loads(line)) for line in whole.splitlines()]
