"""Tells hunks which of their lines people wrote, beside the agent whose work they edited."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.console.hunks import HunkView


def tell(sealed: dict[str, Any], hunks: Mapping[str, HunkView]) -> None:
    """Mark the lines, and name both authors; a hunk that is all of one person names nobody else."""
    files = {file["path"]: file["hunks"] for file in sealed["files"]}
    people: dict[str, dict[str, list[int]]] = {}
    texts = {}
    for each in sealed.get("edited_lines", ()):
        hunk = files[each["path"]][each["hunk"]]
        people.setdefault(hunk["id"], {})[each["person"]] = each["rows"]
        texts[hunk["id"]] = hunk["text"]
    for key, rows in people.items():
        _tell(hunks[key], rows, changed=_changed(texts[key]))


def _tell(hunk: HunkView, rows: Mapping[str, list[int]], *, changed: int) -> None:
    """Mark the rows of each person in a hunk of so many changed lines."""
    hunk.draw = partial(hunk.draw, by_hand=frozenset(row for mine in rows.values() for row in mine))
    if hunk.author is None:
        return
    alone = next((person for person, mine in rows.items() if len(mine) == changed), "")
    # Of what was edited, the last step is the person's; of what was taken over, all of it is.
    took_over = hunk.author["person"] if hunk.author["person"] not in rows else ""
    editors = () if alone else tuple(rows)
    hunk.author = {**hunk.author, "person": alone or took_over, "editors": editors}


def _changed(text: str) -> int:
    return sum(line[:1] in {"+", "-"} for line in text.split("\n"))
