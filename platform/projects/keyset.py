"""Places in a list that moves: the next rows are those beyond the last one seen, never an OFFSET."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from projects.across import Across
from projects.prepared import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.db.models import QuerySet

    from projects.across import Either, Few

Row = TypeVar("Row")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order no two rows share: by id, which is by time, or by a moment and then the id.

    With `rank`, a small number, rows of each rank follow those of the one before.
    """

    moment: str = ""
    newest_first: bool = True
    rank: str = ""

    @property
    def names(self) -> list[str]:
        """The columns it goes by."""
        return [name for name in (self.rank, self.moment, "id") if name]

    def fields(self, *, back: bool = False) -> list[str]:
        """Return what to sort by; `back` is from the end."""
        sign = "-" if self.newest_first != back else ""
        return [f"{sign}{name}" for name in self.names]

    def key(self, row: Any) -> tuple[Any, ...]:
        """Return what a row is sorted by."""
        return tuple(getattr(row, name) for name in self.names)

    def place(self, row: Any) -> str:
        """Return the place of a row, as it stands in an address."""
        parts = [str(row.pk)]
        if self.moment:
            parts.insert(0, str((getattr(row, self.moment) - _EPOCH) // _MICROSECOND))
        if self.rank:
            parts.insert(0, str(getattr(row, self.rank)))
        return ".".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page begins: behind a row, or with `back` before it."""

    key: uuid.UUID
    moment: datetime | None = None
    rank: int | None = None
    back: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """What the marks of a `marked` place name."""
        return {"key": self.key, "moment": self.moment, "rank": self.rank}

    def marked(self) -> Self:
        """Return a place that is named when a list is read: so the list is spelled once for all places."""
        known = {name: _mark(name) for name, value in self.given.items() if value is not None}
        return replace(self, **known)

    @classmethod
    def of(cls, order: Order, query: Mapping[str, str]) -> Self | None:
        """Read `after` or `before`; nonsense is the first page."""
        after = query.get("after", "")
        parts = (after or query.get("before", "")).split(".")
        if len(parts) != len(order.names):
            return None
        try:
            return cls(
                key=uuid.UUID(parts[-1]),
                moment=_EPOCH + int(parts[-2]) * _MICROSECOND if order.moment else None,
                rank=_rank(parts[0]) if order.rank else None,
                back=not after,
            )
        except (ValueError, OverflowError):
            return None

    def beyond(self, order: Order, *, key: str = "id") -> Q:
        """Return the condition "lies beyond this place", which an index can begin at."""
        less = order.newest_first != self.back
        if self.moment is None:
            return Q(**{f"{key}__{'lt' if less else 'gt'}": self.key})
        columns = tuple(F(name) for name in (*order.names[:-1], key))
        rank = () if self.rank is None else (self.rank,)
        compare = TupleLessThan if less else TupleGreaterThan
        return Q(compare(columns, (*rank, self.moment, self.key)))


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Row]):
    """Some rows of a list, with the places the pages before and after them begin at."""

    rows: list[Row]
    before: str = ""
    after: str = ""

    @property
    def whole(self) -> bool:
        """Tell whether there is nothing but this page."""
        return not self.before and not self.after


def page(
    listed: Across | Either | Few,
    read: Callable[[QuerySet[Any]], QuerySet[Any]],
    *,
    order: Order,
    place: Place | None,
    limit: int,
) -> Page[Any]:
    """Return one page: `read` is given a queryset of its rows and says what to load with them."""
    fields = order.fields(back=place is not None and place.back)
    if isinstance(listed, Across):
        beyond = place.marked().beyond(order, key=listed.key) if place else None
        given = place.given if place else {}
        found = listed.first(read, fields, limit + 1, beyond=beyond, given=given)
        return cut(found, order=order, place=place, limit=limit)
    rows = listed.filter(place.beyond(order, key=listed.key)) if place else listed
    keys = rows.keys(fields, limit + 1)
    found = list(read(listed.model._default_manager.filter(pk__among=keys)).order_by(*fields))
    return cut(found, order=order, place=place, limit=limit)


def cut(found: list[Row], *, order: Order, place: Place | None, limit: int) -> Page[Row]:
    """Return the page of rows that were read from `place` on, one more than `limit` of them."""
    return _page(found[:limit], more=len(found) > limit, order=order, place=place)


def merged(
    one: Page[Any], others: list[Any], *, order: Order, place: Place | None, limit: int
) -> Page[Any]:
    """Return one page of two lists in the same order.

    `one` is the page of the first; `others` were read from `place` on, one more than `limit`.
    """
    back = place is not None and place.back
    found = sorted([*one.rows, *others], key=order.key, reverse=order.newest_first != back)
    more = bool(one.before if back else one.after) or len(found) > limit
    return _page(found[:limit], more=more, order=order, place=place)


def _page(found: list[Row], *, more: bool, order: Order, place: Place | None) -> Page[Row]:
    back = place is not None and place.back
    if back:
        found.reverse()
    first, last = (order.place(found[0]), order.place(found[-1])) if found else ("", "")
    return Page(
        rows=found,
        before=first if place and (more if back else found) else "",
        after=last if (found if back else more) else "",
    )


def _mark(name: str) -> Any:
    return RawSQL("%s", (Given(name),))  # nothing but its place


def _rank(text: str) -> int:
    if len(text) != 1:
        raise ValueError(text)  # else: out of the range of the column
    return int(text)
