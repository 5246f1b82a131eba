"""Tells which lines of a change differ in spaces only, where spaces have no meaning.

Where they may have one, nothing counts as such a line: in Python where a line begins, in YAML, Makefiles,
Markdown and whatever else is not on the lists any space, and everywhere those of lines with a quote.
Blanks that are none of the keyboard's are no spaces here: they are shown, and warned of. A text over several
lines has quotes only where it begins and ends, and a hunk does not tell whether one began above it: so a hunk
counts only if no text of its language goes over lines, or if it is its file from the first line on and
begins no such text. All of it is told by the lines that are sealed; the colours of a hunk are not, and whoever
may write them could have any line taken for code.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from approvals.matching import tells
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from approvals.matching import Allowance, Run
    from countersign.console.diff_rows import Raw

_ENDLESS = r"\\\s*$"  # a line that goes on in the next
# What may begin a text over several lines, by suffix. Only languages known not to read spaces: templates,
# shell, SQL, JSX, PHP and Ruby have passages that are text.
_BEGINS = {
    suffix: re.compile(f"{begins}|{_ENDLESS}", re.MULTILINE)
    for suffixes, begins in (
        ((".json", ".proto"), r"(?!)"),
        ((".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp"), r'R"|\?\?/'),
        ((".cs",), r'@\$*"|"""'),
        ((".java",), r'"""|\\u'),
        ((".kt",), r'"""'),
        ((".swift",), r'"""|#/'),
        ((".dart", ".py", ".pyi"), "\"\"\"|'''"),
        ((".js", ".mjs", ".cjs"), "`|<(?![ =])"),
        ((".ts", ".go", ".css", ".scss", ".less"), "`"),
        ((".rs",), '"'),
        ((".lua",), r"\[=*\[|\\z"),
    )
    for suffix in suffixes
}
_ONE_LINE = frozenset({".json", ".proto"})  # none of their texts goes over lines
_INDENTED = frozenset({".py", ".pyi"})  # free but for where a line begins
# A slash, too, may begin a text: a regular expression has no other quotes.
_SPACES, _QUOTE, _OR_SLASH = re.compile("[ \t]+"), re.compile("[\"'`]"), re.compile("[\"'`/]")
_SLASHED = frozenset({".js", ".mjs", ".cjs", ".ts", ".swift"})


def may_be_free(path: str, hunk: Mapping[str, Any]) -> bool:
    """Tell whether a sealed hunk can have lines that differ in meaningless spaces only."""
    begins = _BEGINS.get(_suffix(path))
    if begins is None:
        return False
    first = max(hunk["old_start"], hunk["new_start"]) <= 1
    return _suffix(path) in _ONE_LINE or (first and not begins.search(hunk["text"]))


def runs_of(path: str, old: Sequence[Raw], new: Sequence[Raw], allowance: Allowance) -> list[Run]:
    """Return the runs of lines of a hunk that may be free which differ in spaces only.

    Beside other changes, a run of which no line tells much, as one of closing brackets, is left out:
    it is the same by chance.
    """
    before, now = (_keys(path, side) for side in (old, new))
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


def _keys(path: str, side: Iterable[Raw]) -> list[tuple[str, bool, bool]]:
    suffix = _suffix(path)
    quote = _OR_SLASH if suffix in _SLASHED else _QUOTE
    return [
        (_key(raw.text, quote, indented=suffix in _INDENTED), raw.returns, raw.ends_file)
        for raw in side
    ]


def _key(text: str, quote: re.Pattern[str], *, indented: bool) -> str:
    """Return the line as it is where spaces mean nothing."""
    if characters.marks(text):
        return text
    body = text.strip(" \t")
    start = text[: len(text) - len(text.lstrip(" \t"))] if indented else ""
    return start + (body if quote.search(body) else _SPACES.sub(" ", body))


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
