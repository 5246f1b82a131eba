"""Rules R5 and R6 as pure functions: who asks whom for what, and who waits for whom."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

MAX_QUESTIONS = 8  # of one task; a person may grant as many again
SIMILAR = 0.6  # of the words of two goals, see `similarity`

_WORD = re.compile(r"\w+")
_STEM = 5  # letters: "rounding", "rounded" and "rounds" are one word
_SHORTEST = 3  # letters of a word that says something
# Goals are mostly made of these; two that share nothing else are not alike.
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        "about and are can does find for from have how into its know learn out see should tell "
        "that the them they this understand was were what when where whether which who why will "
        "with",
    )
)
_Node = TypeVar("_Node", bound="Hashable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question of an agent to another, as the rules see it."""

    asker: str
    asked: str
    goal: str
    tree: str = ""  # the asker's files when it asked


def fingerprint(goal: str) -> str:
    """Return the SHA-256 of a goal without case, punctuation and spacing."""
    return hashlib.sha256(" ".join(_words(goal)).encode()).hexdigest()


def similarity(one: str, other: str) -> float:
    """Return the Jaccard index of what two goals are about, from 0 to 1.

    Compared are the words of three letters and more without the fillers of such sentences, each
    cut to its first five letters. Goals made of fillers alone are alike only when they are equal.
    """
    mine, theirs = _gist(one), _gist(other)
    if not mine or not theirs:
        return float(fingerprint(one) == fingerprint(other))
    return len(mine & theirs) / len(mine | theirs)


def ping_pong(new: Ask, earlier: Sequence[Ask]) -> Ask | None:
    """Return the earlier question that this one only repeats or throws back, or None.

    Repeats: the same pair with the same goal. Throws back: the other way round with a similar goal
    while no file changed in between.
    """
    for old in reversed(earlier):
        same = fingerprint(old.goal) == fingerprint(new.goal)
        if (old.asker, old.asked) == (new.asker, new.asked) and same:
            return old
        back = (old.asker, old.asked) == (new.asked, new.asker) and old.tree == new.tree
        if back and (same or similarity(old.goal, new.goal) >= SIMILAR):
            return old
    return None


def cycle(waits_for: Mapping[_Node, Collection[_Node]]) -> list[_Node]:
    """Return nodes that wait for each other in a circle, in its order, or an empty list."""
    over: set[_Node] = set()
    for start in waits_for:
        path: list[_Node] = [start]
        open_ = [iter(waits_for[start])] if start not in over else []
        while open_:
            following = next((node for node in open_[-1] if node not in over), None)
            if following is None:
                over.add(path.pop())
                open_.pop()
            elif following in path:
                return path[path.index(following) :]
            else:
                path.append(following)
                open_.append(iter(waits_for.get(following, ())))
    return []


def _words(goal: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", goal).casefold())


def _gist(goal: str) -> frozenset[str]:
    telling = (word for word in _words(goal) if word not in _FILLERS)
    return frozenset(word[:_STEM] for word in telling if len(word) >= _SHORTEST)
