"""Names that may become files, globs, addresses, and the counts of a run of the checks."""

from __future__ import annotations

import time

import pytest

from agents.workspace.checks import CheckReport, count
from agents.workspace.exceptions import DangerousPath
from agents.workspace.paths import check_path, matches
from agents.workspace.scope import Scope


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        ".git",
        ".GIT/config",
        "a/.Git/x",
        "git~1/config",
        "GIT~1",
        ".git./x",
        ".git /x",
        ".git::$INDEX_ALLOCATION/x",
        ".git\\config",
        ".g\u200cit/config",
        "a\nb",
        "a\x1b[2Jb",
        "a\0b",
        "a" * 256,
        "a/" * 2_050 + "b",
    ],
)
def test_a_dangerous_name_is_refused(path):
    with pytest.raises(DangerousPath):
        check_path(path)


@pytest.mark.parametrize(
    "path", [".gitignore", ".github/x", "git/x", "a b/ü.txt", "-x", "...", "a\\b", ".gitmodules"]
)
def test_an_ordinary_name_is_allowed(path):
    check_path(path)


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("docs/**", "docs/a.md", True),
        ("docs/**", "docs/a/b.md", True),
        ("docs/**", "docs", False),
        ("docs/**", "Docs/a.md", False),
        ("docs/**", "xdocs/a.md", False),
        ("docs/*", "docs/a/b.md", False),
        ("docs/", "docs/a/b.md", True),
        ("**/test_*.py", "tests/test_a.py", True),
        ("**/test_*.py", "test_a.py", True),
        ("**/docs/**", "a/b/docs/c/d.md", True),
        ("*.md", "README.md", True),
        ("*.md", "docs/a.md", True),
        ("README.md", "docs/README.md", False),
        ("docs/?.md", "docs/a.md", True),
        ("docs/?.md", "docs/ab.md", False),
        ("docs/[a].md", "docs/[a].md", True),
        ("docs/[a].md", "docs/a.md", False),
        ("./docs/a.md", "docs/a.md", True),
        ("**", "a/b/c", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a.md", "a-md", False),
        ("docs/**.md", "docs/a/b.md", True),
        ("docs/**.md", "docs/b.md", True),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abcdf", False),
        ("*/*", "a/b/c", False),
        ("", "a", False),
    ],
)
def test_globs_match_as_documented(glob, path, expected):
    assert matches(path, [glob]) is expected


def test_no_glob_takes_long():
    started = time.monotonic()
    assert not matches("a" * 250, ["*a" * 100 + "b"])
    assert not matches("/".join(["a"] * 1_000), ["**/a/" * 60 + "b"])
    assert time.monotonic() - started < 2


def test_a_scope_allows_only_what_it_names():
    scope = Scope(frozenset({"edit_file", "write_file"}), {"edit_file": ("docs/**", "*.md")})
    assert scope.allows_write("edit_file", "docs/a.txt")
    assert not scope.allows_write("edit_file", "src/a.py")
    assert scope.allows_write("write_file", "src/a.py")
    assert not scope.allows_write("delete_file", "docs/a.txt")


def test_a_glob_with_an_exclamation_mark_refuses():
    scope = Scope(frozenset({"edit_file"}), {"edit_file": ("!docs/**", "!*.md")})
    assert scope.allows_write("edit_file", "src/a.py")
    assert not scope.allows_write("edit_file", "docs/a.txt")
    assert not scope.allows_write("edit_file", "src/README.md")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("...\n-----\nRan 13 tests in 0.001s\n\nFAILED (failures=1)\n", (12, 1, 0)),
        ("Ran 14 tests in 0.001s\n\nOK\n", (14, 0, 0)),
        ("Ran 9 tests in 1.2s\n\nOK (skipped=2)\n", (7, 0, 2)),
        ("Ran 9 tests in 1s\n\nFAILED (failures=1, errors=2, skipped=1)\n", (5, 3, 1)),
        ("Ran 3 tests in 1s\n\nFAILED (unexpected successes=1)\n", (2, 1, 0)),
        ("Ran 2 tests in 1s\n\nOK\nRan 3 tests in 1s\n\nOK\n", (None, None, None)),
        ("===== 3 failed, 7 passed, 1 skipped in 0.12s =====\n", (7, 3, 1)),
        ("7 passed in 0.12s\n", (7, 0, 0)),
        ("== 1 passed, 2 errors in 61.20s (0:01:01) ==\n", (1, 2, 0)),
        ("1 passed, 1 xfailed, 3 warnings in 0.1s\n", (2, 0, 0)),
        ("make: *** [test] Error 1\n", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_counts_are_read_from_unittest_and_pytest(output, expected):
    assert count(output) == expected


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"exit_code": 0, "passed": 14, "failed": 0}, "14 pass, our run"),
        ({"exit_code": 1, "passed": 12, "failed": 2}, "2 of 14 fail, our run"),
        ({"exit_code": 0}, "the checks pass, our run"),
        ({"exit_code": 2}, "the checks fail (exit 2), our run"),
        (
            {"exit_code": 1, "passed": 3, "failed": 0},
            "3 pass, but the checks fail (exit 1), our run",
        ),
        ({"timed_out": True, "seconds": 300.0}, "stopped after 300 s, our run"),
        (
            {"exit_code": 0, "passed": 1, "failed": 0, "sandbox": "rlimits"},
            "1 pass, our run, under resource limits only",
        ),
    ],
)
def test_a_report_says_its_result_in_one_line(facts, sentence):
    report = CheckReport(**{"ran": True, "sandbox": "bubblewrap", **facts})
    assert report.sentence == sentence
    assert CheckReport(**report.model_dump()) == report
