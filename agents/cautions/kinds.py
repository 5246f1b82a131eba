"""Looks at what kind of thing a file is: a link, a program, something that is no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.cautions.lines import shown
from agents.cautions.listing import warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.cautions.listing import Caution
    from agents.workspace.diffs import FileDiff

SUBMODULE = "160000"
_KINDS = {"120000": ("symlink", "is a symbolic link"), SUBMODULE: ("submodule", "is a submodule")}


def look(file: FileDiff) -> Iterator[Caution]:
    """Yield what a file is, and what it was not before."""
    path = shown(file.path)
    if file.new_mode in _KINDS:
        kind, words = _KINDS[file.new_mode]
        yield warning(kind, path, 0, f"It {words}.")
    elif file.old_mode and file.new_mode and file.old_mode != file.new_mode:
        text = f"Its mode changes from {file.old_mode} to {file.new_mode}."
        yield warning("mode_changed", path, 0, text)
    elif file.new_mode == "100755" and not file.old_mode:
        yield warning("mode_changed", path, 0, "It is new and executable.")
    if file.binary:
        yield warning("binary", path, 0, "It is binary; no text can be shown.")
