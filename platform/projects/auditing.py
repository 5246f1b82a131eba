"""Reads the audit log as a whole: finds what was done to it, and writes it out for others."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Max

from projects import audit, characters
from projects.models import AuditEntry, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from django.db.models import QuerySet

    from projects.anchoring import Anchor


_CHUNK = 500
_NAMES = (
    *("id", "at", "actor", "address", "project", "project_id", "action", "object_type"),
    *("object_id", "detail", "previous_digest", "digest"),
)
# A spreadsheet takes these for the beginning of a formula, behind blanks too (OWASP, CSV injection).
_FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BLANKS = ("\t", "\r", "\n")  # it skips these, or begins a cell or a line anew
# Where a semicolon separates cells, as in much of Europe, quotes do not keep it from doing so.
_NEW_CELL = re.compile(rf"(;\s*)(?=[{re.escape(''.join(_FORMULAS))}])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The first entry at which the log is not as it was written, and what was done to it."""

    entry: int
    what: str  # altered, removed, cut
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What a walk along the whole log found."""

    entries: int
    last: int  # the key of the newest, 0 of an empty log
    breach: Breach | None


def walk(anchors: Iterable[Anchor] = ()) -> Walked:
    """Follow the chain from its beginning to the first breach, or to its end.

    `anchors` must have been read before the database is: one written in between would look cut off.
    """
    left = deque(sorted(anchors, key=lambda each: each.entry))
    entries, last, before, people = 0, 0, audit.GENESIS, _People()
    for entry in AuditEntry.objects.order_by("id").iterator(chunk_size=_CHUNK):
        breach = (
            _anchored_before(entry, left)
            or _broken(entry, before, last)
            or _anew(entry, left)
            or people.other(entry)
        )
        if breach:
            return Walked(entries=entries, last=last, breach=breach)
        entries, last, before = entries + 1, entry.pk, entry.digest
    return Walked(entries=entries, last=last, breach=_cut(left, last))


def _broken(entry: AuditEntry, before: str, last: int) -> Breach | None:
    if entry.previous_digest != before:
        return _gone(entry, last)
    if entry.digest != audit.digest_of(entry):
        return _breach(entry, "altered", "says something else than its digest")
    return None


def _gone(entry: AuditEntry, last: int) -> Breach:
    """Return the breach before an entry that does not follow: numbers tell which may be missing.

    Of several, some may never have been there: what was rolled back took its number with it.
    """
    first, final = last + 1, entry.pk - 1
    follows = f"entry {entry.pk} does not follow"
    if first > final:
        said = f"Entry {last} was written anew: {follows}."
        return Breach(entry=last, what="altered", said=said)
    gone = f"Entry {first}" if first == final else f"One or more of entries {first} to {final}"
    anew = f", or entry {last} was written anew" if last else ""
    return Breach(entry=first, what="removed", said=f"{gone} was removed{anew}: {follows}.")


class _People:
    """Knows whom an entry may name: its label is covered by the digest, the link to a person is not."""

    def __init__(self) -> None:
        self.names = dict(User.objects.values_list("pk", "username"))
        self._last: dict[Any, int] = {}  # entry of a change of a name: one look for each person

    def other(self, entry: AuditEntry) -> Breach | None:
        """Return the breach of an entry whose person is not the one of its label.

        Where the person was renamed since, nobody can tell: old names are kept nowhere. Nor is the
        link missed where it was taken away.
        """
        person, name = entry.actor_id, entry.actor_label
        if person is None or self.names.get(person) == name or self._renamed(entry):
            return None
        # Who came, or was renamed, as the log was opened is not among those who were read before it.
        self.names |= User.objects.filter(pk=person).values_list("pk", "username")
        if self.names.get(person) == name:
            return None
        return _breach(
            entry,
            "altered",
            "leads to a person of another name, and no change of that name is entered",
        )

    def _renamed(self, entry: AuditEntry) -> bool:
        if entry.actor_id not in self._last:
            changes = AuditEntry.objects.filter(
                object_id=str(entry.actor_id), action="user.changed"
            ).filter(detail__fields__contains="username")
            self._last[entry.actor_id] = changes.aggregate(last=Max("pk"))["last"] or 0
        return self._last[entry.actor_id] > entry.pk


def _anchored_before(entry: AuditEntry, left: deque[Anchor]) -> Breach | None:
    """Return the breach of an anchored entry that is not there any more."""
    if not left or left[0].entry >= entry.pk:
        return None
    gone = left[0]
    said = f"Entry {gone.entry} was there at {gone.at} and is gone."
    return Breach(entry=gone.entry, what="removed", said=said)


def _anew(entry: AuditEntry, left: deque[Anchor]) -> Breach | None:
    """Compare an entry with its anchors: a chain that was written anew is sound in itself."""
    while left and left[0].entry == entry.pk:
        anchor = left.popleft()
        if anchor.digest != entry.digest:
            said = f"is not what it was at {anchor.at}: it or one before it was written anew, with "
            return _breach(entry, "altered", said + "all that follow")
    return None


def _cut(left: Sequence[Anchor], last: int) -> Breach | None:
    if not left:
        return None
    end = f"cut after entry {last}" if last else "cut before its first entry"
    said = f"The log was {end}: entry {left[0].entry} was there at {left[0].at}."
    return Breach(entry=left[0].entry, what="cut", said=said)


def _breach(entry: AuditEntry, what: str, said: str) -> Breach:
    # Whoever changed the row chose these words, and a terminal obeys some.
    action, actor = ascii(entry.action)[1:-1], ascii(entry.actor_label)[1:-1]
    name = f"Entry {entry.pk} ({action}, {actor}, {entry.at:%Y-%m-%d %H:%M})"
    return Breach(entry=entry.pk, what=what, said=f"{name} {said}.")


def as_json_lines(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """Return each entry as a line of JSON, oldest first, with what its digest is made of."""
    for facts in _facts(entries):
        yield json.dumps(facts) + "\n"


def as_csv(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """Return a header and each entry as a line of CSV, oldest first.

    No cell is a formula, and what cannot be seen is marked; the JSON lines hold each text as it is.
    """
    writer = csv.writer(_Echo())
    yield writer.writerow(_NAMES)
    for facts in _facts(entries):
        detail = json.dumps(facts["detail"])
        yield writer.writerow(_cell(value) for value in {**facts, "detail": detail}.values())


FORMATS: dict[str, Callable[[QuerySet[AuditEntry]], Iterator[str]]] = {
    "jsonl": as_json_lines,
    "csv": as_csv,
}


class _Echo:
    """Gives a CSV writer's line back to who asked for it."""

    def write(self, text: str) -> str:
        return text


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    odd = value.startswith(_BLANKS) or value.lstrip().startswith(_FORMULAS)
    shown = _NEW_CELL.sub(r"\1'", characters.plain(value))
    return f"'{shown}" if odd else shown


def _facts(entries: QuerySet[AuditEntry]) -> Iterator[dict[str, Any]]:
    found = entries.order_by("id").select_related("project")
    for entry in found.iterator(chunk_size=_CHUNK):
        values = (
            *(entry.pk, entry.at.isoformat(), entry.actor_label, entry.address),
            entry.project.slug if entry.project else None,
            str(entry.project_id) if entry.project_id else None,
            *(entry.action, entry.object_type, entry.object_id, entry.detail),
            *(entry.previous_digest, entry.digest),
        )
        yield dict(zip(_NAMES, values, strict=True))
