"""What git itself says of the history behind a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.workspace.commands import check_sha, run_git

if TYPE_CHECKING:
    from agents.workspace.git import Store


def work_beyond(store: Store, head: str, *known: str) -> list[str]:
    """Return the commits that `head` has beyond the known ones and that are no merges."""
    left_out = (f"^{check_sha(commit)}" for commit in known)
    asked = ("rev-list", "--no-merges", check_sha(head), *left_out, "--")
    return run_git(*asked, git_dir=store.git_dir).stdout.decode().split()
