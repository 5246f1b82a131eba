"""How large objects of git are, asked without reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.workspace.commands import check_sha, run_git

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.workspace.git import Store


def sizes_of(store: Store, blobs: Iterable[str]) -> dict[str, int]:
    """Return the size of each blob that is there, by its name, from one process. Raises GitFailed."""
    given = "".join(f"{check_sha(blob)}\n" for blob in blobs).encode()
    if not given:
        return {}
    output = run_git("cat-file", "--batch-check", git_dir=store.git_dir, given=given).stdout
    said = [line.split(" ") for line in output.decode().splitlines()]
    return {
        name: int(size)
        for name, kind, size in (each for each in said if len(each) == 3)
        if kind == "blob"
    }
