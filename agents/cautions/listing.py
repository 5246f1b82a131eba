"""How warnings are kept: the gravest first, a flood cut and counted, never what is first of a kind."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Caution = dict[str, Any]

MOST = 200  # warnings of one proposal; more only if each is the first of its kind in a file
_MOST_OF_A_KIND = 10  # in one file
HIDDEN = ("hidden_character", "lookalike_character")
# What may not be missed, what contradicts what was said, what is known of a file by other ways.
_ORDER = (
    *("secret", *HIDDEN, "line_endings", "prompt_injection", "not_scanned"),
    *("step_left_out", "outside_plan", "deleted_test", "thinned_test", "skipped_test"),
    *("egress", "conflict_mark"),
)
_LAST = "more"
_MANY = {
    "deleted_test": "removed tests",
    "egress": "ways into the network",
    "lookalike_character": "look-alike letters",
    "prompt_injection": "texts for a model",
    "thinned_test": "thinned tests",
}


def warning(kind: str, path: str, line: int, text: str) -> Caution:
    """Return one warning as it is kept on a proposal."""
    return {"kind": kind, "path": path, "line": line, "text": text}


def rank(kind: str) -> int:
    """Return where warnings of a kind stand among others; what is not known stands behind."""
    if kind in _ORDER:
        return _ORDER.index(kind)
    return len(_ORDER) + (kind == _LAST)


def listed(found: Iterable[Caution]) -> list[Caution]:
    """Return the warnings that are kept, and one for each file that says what is left out.

    Cut by kind and file, so that many of one kind hide none of another.
    """
    ordered = sorted(found, key=lambda one: rank(one["kind"]))
    many = Counter(_place(one) for one in ordered)
    room = MOST - len(many)
    seen: Counter[tuple[str, str]] = Counter()
    kept: list[Caution] = []
    for one in ordered:
        place = _place(one)
        if seen[place] and (seen[place] >= _MOST_OF_A_KIND or room <= 0):
            continue
        room -= seen[place] > 0
        seen[place] += 1
        kept.append(one)
    return [*kept, *_left(many - seen)]


def _place(one: Caution) -> tuple[str, str]:
    return one["path"], one["kind"]


def _left(lost: Counter[tuple[str, str]]) -> list[Caution]:
    by_path: dict[str, dict[str, int]] = {}
    for (path, kind), many in lost.items():
        by_path.setdefault(path, {})[kind] = many
    return [
        {**warning(_LAST, path, 0, _what(kinds)), "left": kinds} for path, kinds in by_path.items()
    ]


def _what(kinds: dict[str, int]) -> str:
    words = (
        f"{many} {_MANY.get(kind, kind.replace('_', ' ') + 's')}" for kind, many in kinds.items()
    )
    return f"{sum(kinds.values())} more are not listed: {', '.join(words)}."
