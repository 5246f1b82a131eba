"""What of a change stood in an earlier version: the same lines among the same lines, there, as often."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.db.models.functions import MD5

from agents.models import FileChange, Hunk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from uuid import UUID

    from django.db.models import QuerySet

    from projects.together import Found

NOW = "now"
NAMED = ("digest", "section")  # what names a hunk, with its shape
_HUNK = (*NAMED, "old_start")
_FACTS = ("status", "old_path", "old_mode", "new_mode", "binary")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How a version differs from an earlier one."""

    new: frozenset[str] = frozenset()  # ids of hunks
    gone: Mapping[str, int] = field(default_factory=dict)  # hunks of the earlier one, by path
    otherwise: frozenset[str] = frozenset()  # paths: by name, mode or bytes, or no more changed
    other_main: frozenset[str] = frozenset()  # paths that main itself changed meanwhile
    moved: Mapping[str, str] = field(default_factory=dict)  # blobs of before, where they are others

    @property
    def hunks(self) -> int:
        """Return how many hunks are not as before; one rewritten is both new and gone."""
        return max(len(self.new), sum(self.gone.values()))

    @property
    def words(self) -> str:
        """Say how much is not as before; nothing where all is."""
        if not (self.hunks or self.otherwise):
            return ""
        counts = ((self.hunks, "hunk"), (len(self.otherwise), "file"))
        said = [f"{count:,} {word}{'s'[: count > 1]}" for count, word in counts if count]
        return " and ".join(said) + (" is" if self.hunks + len(self.otherwise) == 1 else " are")


def lists_of(proposals: QuerySet[Any] | Sequence[UUID], name: str) -> dict[str, QuerySet[Any]]:
    """Return what tells hunks and files of a version from others, without their lines, under its name."""
    # A code for each line: of the version that is drawn, and of none it is compared with.
    drawn = ("colours",) if name == NOW else ()
    hunks = Hunk.objects.filter(file__proposal__in=proposals).only(*_HUNK, *drawn)
    files = FileChange.objects.filter(proposal__in=proposals)
    return {
        f"hunks_{name}": named(hunks).annotate(path=F("file__path")).order_by("path", "position"),
        f"files_{name}": files.only(*_FACTS, "path", "old_blob", "new_blob").order_by(),
    }


def named(hunks: QuerySet[Any]) -> QuerySet[Any]:
    """Return hunks with their shape, by which `name_of` tells them from others."""
    shaped: QuerySet[Any] = hunks.annotate(shape=MD5("text"))
    return shaped


def compare(found: Found, before: str) -> Compared:
    """Compare what was read under `NOW` with what was read under the name of a version before."""
    now = {row.path: row for row in found.rows(f"files_{NOW}")}
    earlier = {row.path: row for row in found.rows(f"files_{before}")}
    shared = now.keys() & earlier.keys()
    moved = {
        path: earlier[path].old_blob
        for path in shared
        if now[path].old_blob != earlier[path].old_blob
    }
    hunks = found.rows(f"hunks_{NOW}")
    left = Counter(_stood(hunk, moved) for hunk in found.rows(f"hunks_{before}"))
    new = frozenset(_new(hunks, moved, left))
    gone: Counter[str] = Counter()
    for (path, *_), times in left.items():
        gone[path] += times
    told = {hunk.path for hunk in hunks} | (+gone).keys()
    return Compared(
        new=new,
        gone=+gone,
        otherwise=frozenset(_otherwise(now, earlier, told)),
        moved=moved,
        other_main=frozenset(path for path in moved if _same_file(now[path], earlier[path])),
    )


def name_of(hunk: Any) -> str:
    """Return a short name of a hunk that is the same in each version in which its lines are."""
    facts = "\0".join([hunk.digest, hunk.shape, hunk.section])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _new(
    hunks: Iterable[Any], moved: Collection[str], left: Counter[tuple[Any, ...]]
) -> Iterable[str]:
    for hunk in hunks:
        stood = _stood(hunk, moved)
        if left[stood]:
            left[stood] -= 1
        else:
            yield str(hunk.pk)


def _stood(hunk: Any, moved: Collection[str]) -> tuple[Any, ...]:
    """Return what makes a hunk what it is: where main changed the file, its place shifts (`placed`)."""
    place = 0 if hunk.path in moved else hunk.old_start
    # The digest is of bytes: two of them may read alike.
    return hunk.path, hunk.digest, hunk.shape, hunk.section, place


def _otherwise(
    now: Mapping[str, Any], earlier: Mapping[str, Any], told: Collection[str]
) -> Iterable[str]:
    """Yield the paths of files that differ in what none of their hunks, which are `told`, tells."""
    for path in now.keys() | earlier.keys():
        one, other = now.get(path), earlier.get(path)
        differs = _facts(one) != _facts(other) if one and other else path not in told
        if differs:
            yield path


def _same_file(one: Any, other: Any) -> bool:
    """Tell whether both change one file of main."""
    of_main = all(file.old_blob.strip("0") for file in (one, other))
    return of_main and one.old_path == other.old_path


def _facts(file: Any) -> list[Any]:
    return [*(getattr(file, name) for name in _FACTS), file.new_blob if file.binary else ""]
