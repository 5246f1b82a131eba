"""Reads the audit log as a whole: finds what was done to it, and writes it out for others."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from projects import audit, characters
from projects.models import AuditEntry

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
    entries, last, before = 0, 0, audit.GENESIS
    for entry in AuditEntry.objects.order_by("id").iterator(chunk_size=_CHUNK):
        breach = _anchored_before(entry, left) or _broken(entry, before, last) or _anew(entry, left)
        if breach:
            return Walked(entries=entries, last=last, breach=breach)
        entries, last, before = entries + 1, entry.pk, entry.digest
    return Walked(entries=entries, last=last, breach=_cut(left, last))


def _broken(entry: AuditEntry, before: str, last: int) -> Breach | None:
    if entry.previous_digest != before:
        where = f"between entry {last} and this one" if last else "before this one"
        said = f"does not follow: what stood {where} was removed, or {last or 'it'} written anew"
        return _breach(entry, "removed", said)
    if entry.digest != audit.digest_of(entry):
        return _breach(entry, "altered", "says something else than its digest")
    return None


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
    end = f"ends at entry {last}" if last else "is empty"
    said = (
        f"The log {end}, but entry {left[0].entry} was there at {left[0].at}: its end was cut off."
    )
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
