"""Looks at what a file is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.cautions.lines import shown
from agents.cautions.listing import warning
from agents.workspace import secrets
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.cautions.listing import Caution
    from agents.workspace.diffs import FileDiff

_WHERE = "in the file's name"


def look(file: FileDiff) -> Iterator[Caution]:
    """Yield what is hidden in a name, what looks like something else, and credentials."""
    path = shown(file.path)
    for hidden in characters.scan(path):
        yield warning("hidden_character", path, 0, f"{hidden.codepoint} {hidden.name}, {_WHERE}")
    for alike in characters.scan_confusables(path):
        text = f"{alike.codepoint} {alike.name}, {_WHERE}, looks like another letter"
        yield warning("lookalike_character", path, 0, text)
    for secret in secrets.scan(path) if file.new_blob else ():
        yield warning("secret", path, 0, f"{secret.kind}: {secret.shown}, {_WHERE}")
