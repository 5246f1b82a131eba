"""What is worked out without git is what git would have said, over many made-up histories."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agents.workspace import listings
from agents.workspace.commands import run_git
from agents.workspace.exceptions import GitFailed
from agents.workspace.git import Store
from agents.workspace.listings import TreeEntry
from agents.workspace.objects import write_object
from tests.workspace_fixtures import grow, make_repository

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "a.txt", "a-b", "b", "B", "c d", "e", "f.py", "lib", "lib.py", "z")
FILES = {"a.txt": "one\n", "b/c.txt": "c\n", "b/d/e.py": "e\n", "b.txt": "b\n", "lib/x": "x\n"}


@pytest.fixture
def store(tmp_path: Path, settings) -> Store:
    settings.DATA_DIR = tmp_path
    repository = make_repository(tmp_path / "origin.git", FILES)
    return Store(tmp_path / "store.git", repository=str(repository), main="main")


def from_disk(store: Store) -> Store:
    return Store(store.git_dir, repository=store.remote.address, main="main", from_disk=True)


def by_git(store: Store, entries: list[TreeEntry]) -> str:
    """Return the tree as git makes it, without a word of ours."""
    return store._write_tree(entries)


def is_ancestor_by_git(store: Store, older: str, newer: str) -> bool:
    command = ("merge-base", "--is-ancestor", older, newer)
    return run_git(*command, git_dir=store.git_dir, fine=(0, 1)).returncode == 0


def merged_by_git(store: Store, ours: str, theirs: str) -> tuple[str, list[str]]:
    command = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    said = run_git(*command, git_dir=store.git_dir, fine=(0, 1)).stdout.decode()
    tree, *paths = said.split("\0")
    return tree, list(dict.fromkeys(path for path in paths if path))


def changed(rng: random.Random, files: dict[str, str], *, deleting: bool) -> dict[str, str | None]:
    """Return some changes that leave no path a file and a folder at once."""
    found: dict[str, str | None] = {}
    for _ in range(rng.randint(1, 4)):
        path = "/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 3)))
        known = sorted({*files, *found})
        if deleting and rng.random() < 0.3:
            found[rng.choice(known)] = None
        elif rng.random() < 0.4:
            found[rng.choice(known)] = f"{rng.random()}\n"
        elif not any(k.startswith(f"{path}/") or path.startswith(f"{k}/") for k in known):
            found[path] = f"{rng.random()}\n"
    return found


@pytest.mark.parametrize("seed", range(25))
def test_trees_are_those_of_git(store: Store, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # the same histories every time
    head = store.fetch()
    blobs = [entry.blob for entry in store.paths(head)]
    files = {entry.path: entry for entry in store.paths(head)}
    for path, content in changed(rng, FILES, deleting=True).items():
        files.pop(path, None)
        if content is not None:
            files[path] = TreeEntry(path, rng.choice(["100644", "100755"]), rng.choice(blobs), 2)
    entries = list(files.values())
    rng.shuffle(entries)
    made = store.write_tree(entries, like=head)
    assert made == by_git(store, entries)
    fast = listings.rebuilt(entries, store.listing(head), store._write_folder)
    assert fast is not None or made == store.tree_of(head)  # by us, unless nothing has changed
    assert fast is None or fast[0] == made
    told = store.listing(made)
    fresh = from_disk(store).listing(made)
    assert ([e.path for e in told.entries], told.folders) == (
        [e.path for e in fresh.entries],
        fresh.folders,
    )


@pytest.mark.parametrize(
    "path", [".git/x", "b/.GIT/x", "x\\.git\\y", "git~1/x", ".gitmodules", "a/../b", "a//b", "ü"]
)
def test_names_that_are_not_plain_are_left_to_git(store: Store, path: str) -> None:
    head = store.fetch()
    entries = [*store.paths(head), TreeEntry(path, "100644", store.paths(head)[0].blob, 4)]
    assert listings.rebuilt(entries, store.listing(head), lambda _: "") is None
    if path in {".gitmodules", "ü"}:
        assert store.write_tree(entries, like=head)
    else:
        with pytest.raises(GitFailed):
            store.write_tree(entries, like=head)


def test_a_path_that_is_a_file_and_a_folder_is_left_to_git(store: Store) -> None:
    head = store.fetch()
    blob = store.paths(head)[0].blob
    entries = [*store.paths(head), TreeEntry("a.txt/x", "100644", blob, 4)]
    assert listings.rebuilt(entries, store.listing(head), lambda _: "") is None


@pytest.mark.parametrize("seed", range(40))
def test_merges_and_ancestors_are_those_of_git(store: Store, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # the same histories every time
    commits = {store.fetch(): dict(FILES)}
    for number in range(rng.randint(3, 7)):
        parent = rng.choice(sorted(commits))
        change = changed(rng, commits[parent], deleting=rng.random() < 0.4)
        files = {**commits[parent], **change}
        commit = grow(store, parent, change, at=AT.replace(second=number))
        commits[commit] = {path: text for path, text in files.items() if text is not None}
    names = sorted(commits)
    for _ in range(2):
        ours, theirs = rng.sample(names, 2)
        made = store.merge(ours, theirs)
        assert (made.tree, made.conflicts) == merged_by_git(store, ours, theirs)
        if not made.conflicts:
            parents = [ours, theirs]
            names.append(store.commit(made.tree, parents=parents, message="Merge", at=AT))
    for older in names:
        for newer in names:
            assert store.is_ancestor(older, newer) == is_ancestor_by_git(store, older, newer)


def test_merges_of_different_files_ask_no_git(store: Store, monkeypatch) -> None:
    head = store.fetch()
    left = grow(store, head, {"b/new.txt": "x\n", "a.txt": "two\n"}, at=AT)
    right = grow(store, head, {"b/d/e.py": "f\n", "q/r.txt": "y\n"}, at=AT)
    expected = merged_by_git(store, left, right)
    for commit in (head, left, right):
        store.listing(commit)
    monkeypatch.setattr("agents.workspace.git.run_git", lambda *_, **__: pytest.fail("git"))
    made = store.merge(left, right)
    assert (made.tree, made.conflicts) == expected
    joined = store.commit(made.tree, parents=[left, right], message="Merge", at=AT)
    assert [store.is_ancestor(one, joined) for one in (head, left, right)] == [True] * 3
    assert not store.is_ancestor(left, right)


@pytest.mark.parametrize(
    "head",
    [
        "author Foo\x0cparent {base}\x0c <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n",
        "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nparent {base}\n",
    ],
)
def test_a_forged_line_makes_nobody_a_parent(store: Store, head: str) -> None:
    base = store.fetch()
    text = f"tree {store.tree_of(base)}\n{head.format(base=base)}\nForged\n"
    forged = write_object(store.git_dir, "commit", text.encode())
    assert store._parents(forged) == ()
    assert not store.is_ancestor(base, forged)
    assert not is_ancestor_by_git(store, base, forged)


def test_a_parent_that_is_no_name_is_git_s_to_judge(store: Store) -> None:
    tree = store.tree_of(store.fetch())
    text = f"tree {tree}\nparent ab/dev/zero\nauthor A <a@b> 1 +0000\n\nx\n"
    odd = write_object(store.git_dir, "commit", text.encode())
    assert store._parents(odd) is None


def test_who_verifies_takes_no_word_of_ours(store: Store) -> None:
    head = store.fetch()
    commit = grow(store, head, {"a.txt": "two\n"}, at=AT)
    strict = from_disk(store)
    assert strict._parents(commit) is None
    assert strict.is_ancestor(head, commit)


def test_many_differences_are_read_at_once_whatever_files_are_called(store: Store) -> None:
    head = store.fetch()
    odd = grow(store, head, {"countersign 1\n2": "diff --git a/x b/x\n", "a.txt": "two\n"}, at=AT)
    moved = grow(store, odd, {"b/c.txt": None, "n/c.txt": "c\n"}, at=AT)
    pairs = [(head, odd), (odd, moved), (head, moved), (head, head)]
    store.prepare_diffs(pairs)
    strict = from_disk(store)
    for base, end in pairs:
        assert store.diff(base, end) == strict.diff(base, end)
