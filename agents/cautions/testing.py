"""Looks at what a change takes away from the tests: whole ones, what they assert, that they run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agents.cautions import lines
from agents.cautions.listing import warning
from agents.workspace.paths import matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.cautions.lines import Moves
    from agents.cautions.listing import Caution
    from agents.workspace.diffs import FileDiff

# What those who run tests look for by name.
_RUN = (
    *("**/test_*", "**/tests.py", "**/*_test.*", "**/*_spec.*", "**/*.spec.*", "**/*.test.*"),
    *("**/*Test.*", "**/*Tests.*"),
)
TESTS = ("**/tests/**", "**/test/**", "**/__tests__/**", *_RUN)

_TEST = re.compile(
    r"^\s*(?:async\s+)?def test|^\s*(?:it|test)\(|^func (?:Test|Fuzz)|^\s*@Test\b|^\s*class Test"
    r"|^\s*#\[(?:\w+::)?test\b|^\s*\[(?:Fact|Theory|Test|TestMethod)\b|^\s*public function test"
)
_ASSERTION = re.compile(
    r"\bassert|\bexpect\s*\(|\braises\s*\(|\bt\.(?:Error|Fatal|Fail)|\brequire\.[A-Z]"
    r"|\b(?:EXPECT|ASSERT)_|\bshould\b"
)
# They hold whatever the code does.
_EMPTY = re.compile(
    r"\bassert\s*(?:\(\s*)?(?:True|true|1|not False|not None)\b\s*(?:\)\s*)?(?:[,;#].*)?$"
    r"|assert(?:True|_true|!)?\s*\(\s*(?:True|true|1)\s*[,)]"
    r"|expect\(\s*(?:true|1)\s*\)\.to(?:Be|Equal)\w*\(\s*(?:true|1)?\s*\)"
)
_SKIP = re.compile(
    r"\bpytest\.(?:mark\.)?(?:skip(?:if)?|xfail|importorskip)\b|\bmark\.(?:skip(?:if)?|xfail)\b"
    r"|\b(?:unittest\.)?(?:SkipTest|expectedFailure|skipIf|skipUnless)\b|\bunittest\.skip\b"
    r"|@skip\b|\.skipTest\(|\b__test__\s*=\s*False"
    r"|\b(?:it|test|describe|context|suite)\.(?:skip|only|todo|fixme|fails)\b"
    r"|\b(?:x|f)(?:it|describe|test|context)\s*\(|\b[tb]\.Skip(?:f|Now)?\(|^\s*//go:build ignore"
    r"|@(?:Disabled|Ignore)\b|\bassum(?:e|ing)That\(|\bAssum(?:e|ptions)\.|\[(?:Ignore|Explicit)\b"
    r"|\bSkip\s*=\s*\"|#\[ignore\b|\bmarkTest(?:Skipped|Incomplete)\(|\bXCTSkip"
)
# In any file: how test runners are told to leave some out.
_LEFT_OUT = re.compile(
    r"--deselect\b|--ignore(?:-glob)?[= ]\S{0,200}test|\bcollect_ignore(?:_glob)?\b"
    r"|\btestPathIgnorePatterns\b|-DskipTests\b|\bmaven\.test\.skip\b|--passWithNoTests\b"
)
_SIGNS = ("--", "collect_ignore", "testPathIgnorePatterns", "-DskipTests", "maven.test.skip")


def look(file: FileDiff, moves: Moves) -> Iterator[Caution]:
    """Yield what a file's change takes away from the tests."""
    path = lines.shown(file.path)
    old = lines.shown(file.old_path) or path
    tests = matches(old, TESTS) or matches(path, TESTS)
    if file.status == "deleted" and tests:
        yield warning("deleted_test", path, 0, "A test file is deleted.")
        return
    if file.status == "renamed" and _runs_no_more(old, path):
        yield warning("deleted_test", path, 0, f"{old} has tests; under its new name none run.")
    if lost := _lost(file, moves, _TEST):
        yield warning("deleted_test", path, 0, f"{lost} more tests are removed than added.")
    if tests and (lost := _lost(file, moves, _ASSERTION)):
        yield warning("thinned_test", path, 0, f"{lost} more assertions are removed than added.")
    if not lines.is_prose(path):
        yield from _skipped(file, path, moves, tests=tests or path.endswith("conftest.py"))


def _runs_no_more(old: str, new: str) -> bool:
    if not matches(old, TESTS):
        return False
    if matches(old, _RUN):
        return not matches(new, _RUN) or lines.ending(old) != lines.ending(new)
    return not matches(new, TESTS)


def _lost(file: FileDiff, moves: Moves, pattern: re.Pattern[str]) -> int:
    """Return how many lines like this a file loses; what only moves to another is not lost."""
    path = lines.shown(file.path)

    def counts(line: str) -> bool:
        return bool(pattern.search(line)) and not lines.is_comment(path, line)

    gone = sum(counts(line) and moves.is_gone(line) for line in lines.removed(file))
    if not gone:
        return 0
    come = sum(
        counts(line) and moves.is_new(line) and not _EMPTY.search(line)
        for _, line in lines.added(file)
    )
    return max(0, gone - come)


def _skipped(file: FileDiff, path: str, moves: Moves, *, tests: bool) -> Iterator[Caution]:
    for number, line in lines.added(file):
        found = _SKIP.search(line) if tests else None
        if not found and any(sign in line for sign in _SIGNS):
            found = _LEFT_OUT.search(line)
        if found and moves.is_new(line) and not lines.is_comment(path, line):
            said = f"Tests are left out here: {found[0].strip()}."
            yield warning("skipped_test", path, number, said)
