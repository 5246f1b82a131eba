"""Words of a claim that our own look denies, and words that only sound like it."""

from __future__ import annotations

import pytest

from agents.workspace.checks import CheckReport
from agents.workspace.spoken import against

GREEN = CheckReport(ran=True, sandbox="bubblewrap", exit_code=0, passed=14, failed=0)
RED = CheckReport(ran=True, sandbox="bubblewrap", exit_code=1, passed=12, failed=2)
UNRUN = CheckReport(why_not="The project has no checks command.")
FAILS = "Checks on the merged tree: 2 of 14 fail, our run"
KINDS = "secret hidden_character deleted_test outside_plan conflict_mark mode_changed binary"
ALL = [{"kind": kind, "path": "core/key.py", "line": 3, "text": "x"} for kind in KINDS.split()]
CHANGED = {"billing/invoice.py", "core/key.py"}


def told(text: str, *, kind: str = "only_files", checks: CheckReport = GREEN, warned=ALL) -> str:
    return against(text, kind=kind, checks=checks, warnings=warned, changed=CHANGED)


@pytest.mark.parametrize(
    "text",
    [
        "All 212 tests pass and no file outside billing was changed.",
        "The tests pass.",
        "Tests, lint and types pass.",
        "CI is green.",
        "Everything is green now.",
        "The whole suite passed in my last run.",
        "No test fails.",
        "0 failures",
        "The checks don\u2019t fail.",
        "It passes all tests",
        "The failing test is mended, and all tests pass.",
        "T\u200be\u200bsts pass.",
        "14 of 14 pass.",
    ],
)
def test_tests_that_are_said_to_pass_and_fail(text):
    assert told(text, checks=RED, warned=[]) == FAILS
    assert told(text, checks=GREEN, warned=[]) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Two tests do not pass yet.",
        "12 pass, 2 fail; both failed before.",
        "Not all tests pass.",
        "All tests but one pass.",
        "test_tax still fails.",
        "A test for ties was added.",
        "The tax is rounded once.",
        "The checks were not run.",
    ],
)
def test_what_admits_or_says_nothing_of_it_is_left_alone(text):
    assert told(text, checks=RED, warned=[]) == ""


def test_tests_said_to_pass_that_nobody_ran():
    ran = "Our checks did not run: The project has no checks command."
    assert told("All tests pass.", checks=UNRUN, warned=[]) == ran
    # Who names our run gets its reason, and a report has nothing to run.
    assert told("All tests pass.", kind="checks_pass", checks=UNRUN, warned=[]) == ""
    assert told("All tests pass.", kind="none", checks=UNRUN, warned=[]) == ""
    assert told("All tests pass.", checks=CheckReport(), warned=[]) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("No secret was added.", "may hold a secret"),
        ("I looked for credentials and found none.", "may hold a secret"),
        ("The change is free of secrets.", "may hold a secret"),
        ("No API keys or tokens are in it.", "may hold a secret"),
        ("No password was committed.", "may hold a secret"),
        ("It adds no tokens.", "may hold a secret"),
        ("There are no hidden characters.", "hidden or look-alike character"),
        ("No test was removed.", "has fewer tests"),
        ("Tests are not skipped.", "has fewer tests"),
        ("There are no conflicts left.", "conflict that is not resolved"),
        ("No binary files.", "is binary"),
        ("No file modes changed.", "has another mode"),
        ("No other files were changed.", "the plan did not mention it"),
        ("Only files under billing changed.", "the plan did not mention it"),
        ("I edited only billing/invoice.py.", "the plan did not mention it"),
        ("Nothing else was touched.", "the plan did not mention it"),
        ("No file outside billing was changed.", "the plan did not mention it"),
        ("The rest of the repository is untouched.", "the plan did not mention it"),
        ("`billing/invoice.py` is unchanged.", "billing/invoice.py differs from main"),
        ("core/key.py was not touched, as asked.", "core/key.py differs from main"),
    ],
)
def test_what_is_denied_and_found(text, found):
    assert found in told(text)
    assert told(text, warned=[]) == "" or "differs" in found


@pytest.mark.parametrize("kind", ["skipped_test", "thinned_test"])
def test_tests_of_which_less_is_asked_are_not_removed(kind):
    warned = [{"kind": kind, "path": "tests/test_tax.py", "line": 3, "text": "x"}]
    assert "asks less of them" in told("No test is skipped or weakened.", warned=warned)
    assert told("No test was removed.", warned=warned) == ""


@pytest.mark.parametrize(
    "text",
    [
        "The tax is rounded once, half to even, on the total.",
        "A secret may be in core/key.py; please look.",
        "Only the total is rounded now.",
        "No other currency is supported.",
        "The parser returns no token at the end.",
        "Passwords are never logged.",
        "Invoices without lines have no tax.",
        "A test for a tie was added.",
        "Everything but billing/invoice.py is unchanged.",
        "billing/refunds.py is unchanged.",
        "other/billing/invoice.py is unchanged.",
        "billing/invoice.py.orig is not touched.",
        "No links in the docs are broken.",
        "The docs no longer say half up.",
    ],
)
def test_what_denies_nothing_that_was_found_is_left_alone(text):
    assert told(text) == ""
