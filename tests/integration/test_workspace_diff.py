"""The diff a reviewer sees is everything git has to say, and nothing can hide from it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agents.workspace.git import Store
from agents.workspace.listings import TreeEntry
from tests.workspace_fixtures import git, grow, make_repository

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 1, tzinfo=UTC)
BEFORE = {
    "code.py": "".join(f"line {n}\n" for n in range(60)),
    "crlf.txt": b"one\r\ntwo\r\n",
    "no-newline.txt": "a\nb",
    "image.bin": b"\x89PNG\0\0",
    "gone.txt": "bye\n",
    "moved.txt": "".join(f"kept {n}\n" for n in range(20)),
    "odd name\u00fc.txt": "x\n",
    "late-nul.txt": "a\n" * 9_000 + "\0\n",
    "latin.txt": b"caf\xe9\n",
    "diff --git a": "x\n",
    ".gitattributes": "*.py -diff\n* diff=evil\n",
}
AFTER = {
    "code.py": "".join(f"line {n}{' changed' if n in {3, 40} else ''}\n" for n in range(60)),
    "crlf.txt": b"one\r\nTWO\n",
    "no-newline.txt": "a\nb\n",
    "image.bin": b"\x89PNG\0\1",
    "gone.txt": None,
    "moved.txt": None,
    "there/moved.txt": "".join(f"kept {n}\n" for n in range(20)) + "and more\n",
    "odd name\u00fc.txt": "y\n",
    "late-nul.txt": "a\n" * 9_000 + "\0!\n",
    "latin.txt": b"caf\xe9s\n",
    "empty.txt": "",
    "looks.txt": "@@ -1,1 +1,1 @@\n--- a/x\n+++ b/x\ndiff --git a/y b/y\n\\ No newline at end of file\n",
    "diff --git a": "diff --git a/x b/x\n",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    repository = make_repository(tmp_path / "origin.git", BEFORE)
    return Store(tmp_path / "store.git", repository=str(repository), main="main")


def test_the_hunks_are_exactly_what_git_prints(store):
    base = store.fetch()
    head = grow(store, base, AFTER, at=AT)
    files = store.diff(base, head)
    told = subprocess.run(
        ["git", "diff-tree", "-r", "-p", "-M", "-U3", "--no-textconv", base, head],
        cwd=store.git_dir,
        capture_output=True,
        check=True,
    ).stdout
    headers = (b"diff --git ", b"index ", b"--- ", b"+++ ", b"new file", b"deleted file")
    headers += (b"similarity ", b"rename ", b"old mode", b"new mode", b"Binary files ", b"@@ ")
    rows = [row for row in told.split(b"\n")[:-1] if not row.startswith(headers)]
    # What looks like a header inside a hunk begins with its marker; git's own begin the line.
    kept = b"".join(row + b"\n" for row in rows if row not in {b"--- a/x", b"+++ b/x"})
    shown = "".join(hunk.text for file in files for hunk in file.hunks)
    assert shown == kept.decode(errors="backslashreplace").replace("\0", "\\x00")
    assert sum(len(file.hunks) for file in files) == told.count(b"\n@@ ")


def test_every_kind_of_change_is_named(store):
    base = store.fetch()
    files = {file.path: file for file in store.diff(base, grow(store, base, AFTER, at=AT))}
    assert set(files) == set(AFTER) - {"moved.txt"}
    assert files["gone.txt"].status == "deleted"
    assert (files["gone.txt"].new_mode, files["gone.txt"].new_blob) == ("", "")
    assert files["empty.txt"].status == "added"
    assert files["empty.txt"].hunks == []
    assert files["there/moved.txt"].status == "renamed"
    assert files["there/moved.txt"].old_path == "moved.txt"
    assert files["image.bin"].binary
    assert files["no-newline.txt"].hunks[0].text.endswith("-b\n\\ No newline at end of file\n+b\n")
    assert files["crlf.txt"].hunks[0].text == " one\r\n-two\r\n+TWO\n"
    assert files["latin.txt"].hunks[0].text == "-caf\\xe9\n+caf\\xe9s\n"
    assert "\0" not in files["late-nul.txt"].hunks[0].text
    assert files["looks.txt"].added == 5


def test_attributes_of_the_content_hide_nothing(store):
    base = store.fetch()
    files = {file.path: file for file in store.diff(base, grow(store, base, AFTER, at=AT))}
    assert not files["code.py"].binary
    assert [hunk.old_start for hunk in files["code.py"].hunks] == [1, 38]
    assert (files["code.py"].added, files["code.py"].removed) == (2, 2)


def test_mode_and_kind_changes_are_shown(store):
    base = store.fetch()
    entries = {entry.path: entry for entry in store.paths(base)}
    entries["code.py"] = TreeEntry("code.py", "100755", entries["code.py"].blob)
    entries["gone.txt"] = TreeEntry("gone.txt", "120000", entries["crlf.txt"].blob)
    entries["module"] = TreeEntry("module", "160000", base)
    files = {file.path: file for file in store.diff(base, store.write_tree(entries.values()))}
    assert (files["code.py"].old_mode, files["code.py"].new_mode) == ("100644", "100755")
    assert files["code.py"].hunks == []
    assert (files["gone.txt"].new_mode, len(files["gone.txt"].hunks)) == ("120000", 2)
    assert files["module"].hunks[0].text == f"+Subproject commit {base}\n"


def test_a_hunk_keeps_its_digest_when_it_only_moves(store):
    base = store.fetch()
    lines = str(BEFORE["code.py"]).splitlines(keepends=True)
    changed = [*lines[:40], "forty\n", *lines[41:]]
    first = store.diff(base, grow(store, base, {"code.py": "".join(changed)}, at=AT))
    moved = ["new first line\n", *changed]
    second = store.diff(base, grow(store, base, {"code.py": "".join(moved)}, at=AT))
    assert first[0].hunks[0].digest == second[0].hunks[1].digest
    assert first[0].hunks[0].new_start != second[0].hunks[1].new_start
    elsewhere = store.diff(base, grow(store, base, {"other.py": "forty\n"}, at=AT))
    assert elsewhere[0].hunks[0].digest != first[0].hunks[0].digest


def test_equal_trees_do_not_differ(store):
    base = store.fetch()
    assert store.diff(base, base) == []
    assert git(store.git_dir, "for-each-ref", "--format=%(refname)") == "refs/countersign/main"
