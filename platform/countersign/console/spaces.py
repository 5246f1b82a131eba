"""Tells which lines of a change differ in spaces only, where spaces have no meaning.

Where they may have one, nothing counts as such a line: in Python where a line begins, in YAML, Makefiles,
Markdown and whatever else is not on the lists any space, and everywhere those within texts in quotes.
Blanks that are none of the keyboard's are no spaces here: they are shown, and warned of. What is within a
text is known by the colours found when the change was assembled; a hunk without any is shown as it is.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from approvals.matching import Allowance, Run
    from countersign.console.diff_rows import Raw

# Only what is known not to read them; templates, shell, PHP and Ruby have passages that are text.
_FREE = frozenset(
    {
        *(
            ".c",
            ".h",
            ".cc",
            ".cpp",
            ".cxx",
            ".hh",
            ".hpp",
            ".cs",
            ".java",
            ".kt",
            ".swift",
            ".dart",
        ),
        *(".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".go", ".rs", ".lua", ".proto", ".sql"),
        *(".css", ".scss", ".less", ".json"),
    }
)
_INDENTED = frozenset({".py", ".pyi"})  # free but for where a line begins
_SPACES, _QUOTE = re.compile("[ \t]+"), re.compile("[\"'`]")
_TEXT = "s"  # the class of a run that is of a text
_TELLING = 4  # characters that are not blank: what shorter lines say stands in many places


def may_be_free(path: str) -> bool:
    """Tell whether a file of this name can have lines that differ in meaningless spaces only."""
    return _suffix(path) in _FREE | _INDENTED


def runs_of(path: str, old: Sequence[Raw], new: Sequence[Raw], allowance: Allowance) -> list[Run]:
    """Return the runs of lines that differ in spaces only; both sides have been coloured.

    Beside other changes, a run of which no line tells much, as one of closing brackets, is left out:
    it is the same by chance.
    """
    before, now = (_keys(path, side) for side in (old, new))
    if not before or not now:
        return []
    runs = allowance.shared(before, now)
    alone = runs == [(0, 0, len(before))] and len(before) == len(now)
    told = [run for run in runs if alone or any(map(_tells, old[run[0] : run[0] + run[2]]))]
    return [
        run
        for run in told
        if all(old[run[0] + at].text != new[run[1] + at].text for at in range(run[2]))
    ]


def _keys(path: str, side: Iterable[Raw]) -> list[tuple[str, bool, bool]]:
    indented = _suffix(path) in _INDENTED
    return [(_key(raw, indented=indented), raw.returns, raw.ends_file) for raw in side]


def _key(raw: Raw, *, indented: bool) -> str:
    """Return the line as it is where spaces mean nothing."""
    text, body = raw.text, raw.text.strip(" \t")
    tokens = [token for token, _ in raw.runs] or [""]
    if characters.marks(text) or (_TEXT in tokens and not body):
        return text
    start = text[: len(text) - len(text.lstrip(" \t"))]
    end = text[len(text.rstrip(" \t")) :]
    quoted = _TEXT in tokens or _QUOTE.search(body)
    return (
        (start if indented or tokens[0] == _TEXT else "")
        + (body if quoted else _SPACES.sub(" ", body))
        + (end if tokens[-1] == _TEXT or body.endswith("\\") else "")
    )


def _tells(raw: Raw) -> bool:
    return len("".join(raw.text.split())) >= _TELLING


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
