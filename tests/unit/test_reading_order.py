"""The order in which files are read: what may do harm first, what tools wrote last and folded."""

from __future__ import annotations

import pytest

from countersign.console.reading_order import in_order, is_generated


def ordered(*paths: str, warned: tuple[str, ...] = ()) -> list[str]:
    warnings = [{"path": path} for path in warned]
    sealed = {"files": [{"path": path} for path in paths], "warnings": warnings}
    return [file["path"] for file in in_order(sealed)]


def test_harm_comes_first_then_code_then_tests_then_what_tools_wrote():
    last = ["web/dist/app.js", "poetry.lock"]
    tests = ["tests/test_app.py", "web/app.test.ts"]
    code = ["docs/a.md", "src/app.py"]
    first = [".github/workflows/ci.yml", "src/auth/rights.py", "db/migrations/0002_x.py"]
    assert ordered(*last, *tests, *code, *first) == [*first, *code, *tests, *last]


def test_what_lies_where_tools_write_comes_last_but_one_and_stays_open():
    paths = ["requirements.txt", "tests/test_app.py", "vendor/a.go", "go.sum"]
    assert ordered(*reversed(paths)) == paths
    assert [path for path in paths if is_generated(path, ())] == ["go.sum"]


def test_a_file_with_a_warning_is_read_first_whatever_its_name():
    assert ordered("src/a.py", "package-lock.json", warned=("package-lock.json", "")) == [
        "package-lock.json",
        "src/a.py",
    ]
    assert is_generated("package-lock.json", {"src/a.py"})
    assert not is_generated("package-lock.json", {"package-lock.json"})


@pytest.mark.parametrize(
    "path",
    [
        *("src/distance.py", "vendor.py", "src/generated.py", ".github/dist/x.yml", "a.lock.py"),
        *("requirements.txt", "deploy/requirements-dev.txt"),
        *("vendor/lib/a.go", "dist/app.js", "api/generated/client.py", "node_modules/a/index.js"),
    ],
)
def test_what_people_write_is_not_taken_for_generated(path):
    assert not is_generated(path, ())
