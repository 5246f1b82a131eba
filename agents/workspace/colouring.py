"""Has the lines of a change coloured before anybody waits for its page, in a process that may not stay."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

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
    # As ASCII: half a character of a pair, which git can hold, is no UTF-8.
    text = json.dumps(asked).encode()
    try:
        said = subprocess.run(  # noqa: S603 - our own program, no shell
            [sys.executable, "-I", lexing.__file__],
            input=text,
            capture_output=True,
            env={},
            timeout=_SECONDS,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
    whole, _, _ = said.rpartition(b"\n")
    return [str(json.loads(line)) for line in whole.splitlines()]
