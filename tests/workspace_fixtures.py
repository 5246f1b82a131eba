"""Real repositories for the workspace tests."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from agents.workspace.listings import TreeEntry

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from agents.workspace.git import Store

_PLAIN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


def git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    """Run git the way a person would in a folder, and return what it says."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **_PLAIN},
        input=given,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def make_repository(folder: Path, files: dict[str, str | bytes], *, bare: bool = True) -> Path:
    """Make a repository whose main holds these files."""
    work = folder.with_name(f"{folder.name}-work") if bare else folder
    work.mkdir(parents=True)
    git(work, "init", "-q", "-b", "main")
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "Begin")
    if bare:
        git(work, "clone", "-q", "--bare", str(work), str(folder))
    return folder


def grow(
    store: Store,
    parent: str,
    files: dict[str, str | bytes | None],
    *,
    at: datetime,
    tree_only: bool = False,
) -> str:
    """Commit these files on top of a commit (None deletes)."""
    entries = {entry.path: entry for entry in store.paths(parent)}
    drop = store.git_dir / "tmp"
    for number, (path, content) in enumerate(files.items()):
        entries.pop(path, None)
        if content is not None:
            place = drop / f"in-{os.urandom(4).hex()}-{number}"
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
            entries[path] = TreeEntry(path, "100644", store.write_blobs([place])[0])
            place.unlink()
    tree = store.write_tree(entries.values())
    return tree if tree_only else store.commit(tree, parents=[parent], message="Grow", at=at)
