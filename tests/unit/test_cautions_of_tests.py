"""What a change takes away from the tests is told, whatever it is called."""

from __future__ import annotations

import pytest

from tests.changed_files import Change

TESTS = "def test_a():\n    assert f(1) == 2\n\n\ndef test_b():\n    assert f(2) == 3\n"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("tests/test_refunds.py", "attic/refunds.txt"),
        ("tests/test_refunds.py", "tests/old_refunds.py"),
        ("tests/test_refunds.py", "tests/test_refunds.txt"),
        ("web/cart.spec.ts", "web/cart.ts"),
        ("src/test/java/CartTest.java", "src/test/java/CartTest.java.bak"),
    ],
)
def test_tests_that_are_moved_where_none_run_are_gone(was, now):
    (found,) = Change().file(now, was=was, old=TESTS, new=TESTS).warnings()
    assert (found["kind"], found["path"]) == ("deleted_test", now)
    assert was in found["text"]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("tests/test_refunds.py", "tests/billing/test_refunds.py"),
        ("tests/conftest.py", "tests/billing/conftest.py"),
        ("src/a.py", "src/b.py"),
        ("src/a.py", "tests/test_a.py"),
    ],
)
def test_tests_that_only_move_are_not(was, now):
    assert Change().file(now, was=was, old=TESTS, new=TESTS).kinds() == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tests/test_a.py", "import unittest; raise unittest.SkipTest('later')"),
        ("tests/test_a.py", "pytest.skip('later', allow_module_level=True)"),
        ("tests/test_a.py", "pytestmark = pytest.mark.skip"),
        ("tests/test_a.py", "@pytest.mark.xfail(strict=False)"),
        ("tests/test_a.py", "@skipIf(True, 'later')"),
        ("tests/test_a.py", "        self.skipTest('later')"),
        ("tests/test_a.py", "__test__ = False"),
        ("shop/tests.py", "@unittest.expectedFailure"),
        ("conftest.py", "        item.add_marker(pytest.mark.skip)"),
        ("conftest.py", "collect_ignore = ['tests/test_a.py']"),
        ("Makefile", "\tpytest --deselect tests/test_a.py::test_b"),
        ("web/cart.test.ts", "  it.skip('adds', () => {"),
        ("web/cart.test.ts", "describe.only('cart', () => {"),
        ("web/cart.test.ts", "  xit('adds', () => {"),
        ("cart_test.go", '\tt.Skip("later")'),
        ("src/test/java/CartTest.java", "  @Disabled"),
        ("tests/cart.rs", "#[ignore]"),
        ("tests/CartTest.php", "$this->markTestSkipped('later');"),
    ],
)
def test_tests_that_are_left_out_are_told_with_their_line(path, line):
    (found,) = Change().file(path, old="x\n", new=f"x\n{line}\n").warnings()
    assert (found["kind"], found["line"]) == ("skipped_test", 2)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("src/reader.py", "    lines.skip(3)"),
        ("src/reader.py", "@skip"),  # no test
        ("tests/test_a.py", "    reader.skip(3)"),
        ("tests/test_a.py", "# pytest.skip is not for this"),
        ("tests/test_a.py", "    assert skipped == []"),
        ("docs/testing.md", "Use `pytest.mark.skip` or `--deselect`."),
        ("Makefile", "\tgit clean --force"),
    ],
)
def test_other_words_are_not(path, line):
    assert Change().file(path, old="x\n", new=f"x\n{line}\n").kinds() == []


def test_a_mark_that_moves_with_its_test_is_not_new():
    skipped = "@pytest.mark.skip\ndef test_a():\n    assert f(1)\n"
    change = Change().file("tests/test_a.py", old=skipped + TESTS, new=TESTS)
    assert change.file("tests/test_b.py", old="x\n", new="x\n" + skipped).kinds() == []


@pytest.mark.parametrize(
    "new",
    [
        "def test_a():\n    pass\n\n\ndef test_b():\n    assert f(2) == 3\n",
        "def test_a():\n    assert True\n\n\ndef test_b():\n    assert f(2) == 3\n",
        "def test_a():\n    # assert f(1) == 2\n    f(1)\n\n\ndef test_b():\n    assert f(2) == 3\n",
    ],
)
def test_a_test_that_asserts_no_more_is_thinned(new):
    (found,) = Change().file("tests/test_a.py", old=TESTS, new=new).warnings()
    assert (found["kind"], found["text"]) == (
        "thinned_test",
        "1 more assertions are removed than added.",
    )


def test_an_assertion_that_is_another_or_elsewhere_is_not_lost():
    other = TESTS.replace("== 2", "== 5")
    assert Change().file("tests/test_a.py", old=TESTS, new=other).kinds() == []
    change = Change().file("tests/test_a.py", old=TESTS, new="import x\n")
    assert change.file("tests/test_b.py", old="import x\n", new=TESTS).kinds() == []
    assert Change().file("src/a.py", old="assert x\n", new="y = x\n").kinds() == []


def test_tests_that_are_no_more_are_counted():
    (found, thinned) = Change().file("tests/test_a.py", old=TESTS, new="import x\n").warnings()
    assert found["text"] == "2 more tests are removed than added."
    assert thinned["kind"] == "thinned_test"
