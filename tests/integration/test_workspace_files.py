"""A workspace is written from a commit and read back, byte for byte, without escape."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agents.workspace.exceptions import DangerousPath, GitFailed, PathRefused, TooLarge
from agents.workspace.files import Workspace, remove_folder, write_files
from agents.workspace.git import Store
from agents.workspace.listings import TreeEntry
from tests.workspace_fixtures import git, make_repository

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = make_repository(
        tmp_path / "origin",
        {
            "a.txt": "one\r\ntwo\n",
            "run.sh": "#!/bin/sh\n",
            "sub/deep/ü b.txt": "x",
            "bin": bytes(range(256)),
            ".gitignore": "*.log\n",
        },
        bare=False,
    )
    (folder / ".gitattributes").write_text("* text eol=crlf ident\n*.txt filter=evil\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "dirlink").symlink_to("sub")
    git(folder, "add", "-A")
    exact = git(folder, "hash-object", "-w", "--no-filters", "a.txt")
    git(folder, "update-index", "--cacheinfo", f"100644,{exact},a.txt")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(folder, "commit", "-q", "-m", "More")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, repository: Path) -> Workspace:
    store = Store(tmp_path / "store.git", repository=str(repository), main="main")
    workspace = Workspace(store, tmp_path / "ws" / "step")
    workspace.materialise(store.fetch())
    return workspace


def test_only_plain_files_are_written_and_the_tree_comes_back_whole(workspace, repository):
    names = sorted(path for path, _ in workspace.listing())
    assert names == [".gitattributes", ".gitignore", "a.txt", "bin", "run.sh", "sub/deep/ü b.txt"]
    assert (workspace.folder / "a.txt").read_bytes() == b"one\r\ntwo\n"
    assert (workspace.folder / "bin").read_bytes() == bytes(range(256))
    assert stat.S_IMODE((workspace.folder / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((workspace.folder / "a.txt").stat().st_mode) == 0o644
    assert workspace.snapshot() == git(repository, "rev-parse", "main^{tree}")


def test_every_change_is_in_the_snapshot(workspace):
    base = workspace.snapshot()
    workspace.write("a.txt", b"uno\r\ntwo\n")  # as long as before
    workspace.write("new.log", b"ignored by .gitignore, seen by us\n")
    workspace.write("run.sh", b"#!/bin/sh\nexit\n")
    workspace.delete("sub/deep/ü b.txt")
    changes = {f.path: f.status for f in workspace.store.diff(base, workspace.snapshot())}
    assert changes == {
        "a.txt": "modified",
        "new.log": "added",
        "run.sh": "modified",
        "sub/deep/ü b.txt": "deleted",
    }
    modes = {entry.path: entry.mode for entry in workspace.store.paths(workspace.snapshot())}
    assert modes["run.sh"] == "100755"
    assert modes["link"] == "120000"
    assert modes["module"] == "160000"


def test_a_restarted_worker_goes_on_with_the_same_folder(workspace):
    workspace.write("a.txt", b"changed")
    again = Workspace(workspace.store, workspace.folder)
    assert again.folder.is_dir()
    assert again.snapshot() == workspace.snapshot()


def test_materialising_again_starts_over(workspace):
    base = workspace.snapshot()
    workspace.write("a.txt", b"changed")
    workspace.write("new", b"")
    workspace.materialise(base)
    assert workspace.snapshot() == base


def test_removing_leaves_nothing_and_may_be_repeated(workspace):
    workspace.remove()
    workspace.remove()
    assert list(workspace.folder.parent.iterdir()) == []
    assert not workspace.folder.is_dir()


def test_links_and_submodules_of_the_repository_stay_as_they_are(workspace):
    for path in ("link", "dirlink/x", "module", "module/x"):
        with pytest.raises(PathRefused, match="stays as it is"):
            workspace.write(path, b"x")
    assert workspace.kept("link") == "a symbolic link"
    assert workspace.kept("a.txt") == workspace.kept("nothing") == ""


def test_links_that_appear_are_neither_followed_nor_stored(workspace, tmp_path):
    (tmp_path / "secret").write_text("hush")
    before = workspace.snapshot()
    (workspace.folder / "out").symlink_to(tmp_path)
    (workspace.folder / "file").symlink_to(tmp_path / "secret")
    os.mkfifo(workspace.folder / "pipe")
    for path in ("out/secret", "file"):
        with pytest.raises(PathRefused, match="symbolic link"):
            workspace.resolve(path)
    assert workspace.snapshot() == before


def _hostile_tree(store: Store, path: str) -> str:
    """Write a tree no git command would make from an index."""
    (store.git_dir / "tmp" / "x").write_text("x")
    sha = store.write_blobs([store.git_dir / "tmp" / "x"])[0]
    *folders, name = path.split("/") if not path.startswith("/") else ["", path[1:]]
    tree = _mktree(store, f"100644 {name}", sha)
    for folder in reversed(folders):
        tree = _mktree(store, f"40000 {folder}", tree)
    return tree


def _mktree(store: Store, entry: str, sha: str) -> str:
    raw = entry.encode() + b"\0" + bytes.fromhex(sha)
    command = ("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
    return git(store.git_dir, *command, given=raw)


@pytest.mark.parametrize(
    "path",
    [".git/config", ".GIT/config", "git~1/x", "../x", "a/../../x", "./x", "/x", "a\nb", "a\x1bb"],
)
def test_a_hostile_tree_is_refused_before_anything_is_written(workspace, path):
    tree = _hostile_tree(workspace.store, path)
    with pytest.raises((DangerousPath, GitFailed)):
        workspace.materialise(tree)
    assert workspace.folder.is_dir()  # what was there before is still there


def test_a_tree_with_a_link_in_the_way_of_a_file_is_refused(workspace, tmp_path):
    entries = workspace.store.paths(workspace.snapshot())
    link = next(entry for entry in entries if entry.path == "link")
    blob = next(entry for entry in entries if entry.path == "bin").blob
    below = TreeEntry("link/x", "100644", blob)
    for twice in ([link, below], [link, TreeEntry("link", "100644", blob)]):
        folder = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        with pytest.raises(DangerousPath):
            write_files(workspace.store, twice, folder, symlinks=True)
        assert list(folder.iterdir()) == []


def test_a_file_too_large_stays_in_the_tree(workspace, monkeypatch):
    base = workspace.snapshot()
    monkeypatch.setattr("agents.workspace.files.MAX_FILE_BYTES", 255)
    workspace.materialise(base)
    assert "bin" not in dict(workspace.listing())
    assert workspace.snapshot() == base
    with pytest.raises(PathRefused, match="too large"):
        workspace.write("bin", b"x")


def test_a_tree_too_large_is_refused_before_anything_is_written(workspace, monkeypatch):
    base = workspace.snapshot()
    monkeypatch.setattr("agents.workspace.files.MAX_FILES", 3)
    with pytest.raises(TooLarge):
        workspace.materialise(base)
    assert workspace.folder.is_dir()


def test_a_name_that_is_no_text_stays_in_the_tree(tmp_path, repository):
    (repository / os.fsdecode(b"latin-\xe9.txt")).write_text("x")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Latin")
    store = Store(tmp_path / "s2.git", repository=str(repository), main="main")
    workspace = Workspace(store, tmp_path / "ws2" / "step")
    workspace.materialise(store.fetch())
    assert not any("latin" in path for path, _ in workspace.listing())
    assert workspace.snapshot() == git(repository, "rev-parse", "main^{tree}")


def test_whatever_is_left_can_be_removed(tmp_path):
    folder = tmp_path / "left"
    deep = folder
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(2_000):  # deeper than a path may be long, and than Python may recurse
        os.mkdir("d" * 20, dir_fd=here)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (folder / "locked").mkdir()
    (folder / "locked" / "x").write_text("x")
    (folder / "locked").chmod(0)
    remove_folder(folder)
    assert not folder.exists()
