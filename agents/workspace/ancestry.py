"""What the commits we made ourselves say of who comes from whom, without asking git."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Parents = Callable[[str], tuple[str, ...] | None]  # None: only git knows

_FURTHEST = 64  # commits looked at; a long line is faster asked of git


@dataclass(frozen=True, slots=True)
class Line:
    """A commit with those before it as far as they are known, and where that ends."""

    known: frozenset[str]
    ends: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """Every commit that is in it for certain."""
        return self.known | self.ends


def line(commit: str, parents: Parents) -> Line | None:
    """Follow the known parents of a commit; None when it is too long a way."""
    known: set[str] = set()
    ends: set[str] = set()
    ahead = [commit]
    while ahead:
        each = ahead.pop()
        if each in known or each in ends:
            continue
        if (before := parents(each)) is None:
            ends.add(each)
            continue
        known.add(each)
        ahead += before
        if len(known) > _FURTHEST:
            return None
    return Line(frozenset(known), frozenset(ends))


def is_ancestor(older: str, newer: str, parents: Parents) -> bool | None:
    """Tell whether `newer` contains `older`, or None when only git knows."""
    later = line(newer, parents)
    if later is None:
        return None
    if older in later.all:
        return True
    earlier = line(older, parents)
    # What comes from every end cannot be before any of them.
    if earlier is not None and older not in earlier.ends and later.ends <= earlier.all:
        return False
    return None


def fork(ours: str, theirs: str, parents: Parents) -> str | None:
    """Return the one commit that two lines have in common last, or None when only git knows."""
    mine, other = line(ours, parents), line(theirs, parents)
    if mine is None or other is None or not (mine.ends <= other.all and other.ends <= mine.all):
        return None  # more may be in common behind where we can look
    common = mine.all & other.all
    last = [one for one in common if not any(_before(one, each, parents) for each in common)]
    return last[0] if len(last) == 1 else None


def _before(older: str, newer: str, parents: Parents) -> bool:
    found = line(newer, parents)
    return older != newer and found is not None and older in found.all
