"""What a reviewer must see in a change before signing, found by looking, not by asking agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.cautions import endings, kinds, names, network, prompts, testing, text
from agents.cautions.lines import Moves, shown
from agents.cautions.listing import HIDDEN, MOST, Caution, listed, rank, warning
from agents.cautions.testing import TESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agents.workspace.diffs import FileDiff
    from agents.workspace.git import Store

__all__ = ["HIDDEN", "MOST", "TESTS", "Caution", "rank", "shown", "warning", "warnings_of"]


def warnings_of(
    store: Store, diffs: Iterable[FileDiff], *, also: Iterable[Caution] = ()
) -> list[Caution]:
    """Return the warnings of a change, the gravest first; `also`: what was found by other means."""
    files = list(diffs)
    moves = Moves(files)
    found = [one for file in files for one in _of_file(store, file, moves)]
    return listed([*also, *found])


def _of_file(store: Store, file: FileDiff, moves: Moves) -> Iterator[Caution]:
    yield from names.look(file)
    yield from kinds.look(file)
    yield from endings.look(file)
    yield from testing.look(file, moves)
    yield from prompts.look(file)
    if file.new_blob and file.new_mode != kinds.SUBMODULE:
        (content,) = store.blobs([file.new_blob])
        yield from text.look(file, content)
        yield from network.look(file, content, moves)
