"""The sealed warnings as the page shows them: what is hidden stands first, however it was sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import cautions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.console.hunks import FileView


def of(sealed: dict[str, Any], files: Sequence[FileView]) -> list[dict[str, Any]]:
    """Return the warnings, the gravest kinds first, each with the place it speaks of."""
    places = {file.path: file for file in files}
    found = sorted(sealed["warnings"], key=lambda one: cautions.rank(one.get("kind", "")))
    return [{**one, "target": _target(one, places.get(one.get("path", "")))} for one in found]


def many(sealed: dict[str, Any], *kinds: str) -> int:
    """Return how many warnings are of these kinds, also those that are not listed."""
    return sum(
        (one.get("kind") == kind) + int(one.get("left", {}).get(kind, 0))
        for one in sealed["warnings"]
        for kind in kinds
    )


def others(sealed: dict[str, Any], *kinds: str) -> int:
    """Return how many listed warnings are of other kinds."""
    return sum(one.get("kind") not in kinds for one in sealed["warnings"])


def _target(one: dict[str, Any], file: FileView | None) -> str:
    if file is None:
        return ""
    line = one.get("line")
    return f"{file.anchor}-n{line}" if line and file.shows(line) else file.anchor
