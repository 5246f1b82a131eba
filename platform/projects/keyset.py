"""Places in a list that moves: the next rows are those beyond the last one seen, never an OFFSET."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from django.db.models import Q

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.db.models import QuerySet

    from projects.across import Across, Few

Row = TypeVar("Row")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order no two rows share: by id, which is by time, or by a moment and then the id."""

    moment: str = ""
    newest_first: bool = True

    def fields(self, *, back: bool = False) -> list[str]:
        """Return what to sort by; `back` is from the end."""
        sign = "-" if self.newest_first != back else ""
        return [f"{sign}{name}" for name in filter(None, (self.moment, "id"))]

    def place(self, row: Any) -> str:
        """Return the place of a row, as it stands in an address."""
        if not self.moment:
            return str(row.pk)
        since = getattr(row, self.moment) - _EPOCH
        return f"{since // _MICROSECOND}.{row.pk}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page begins: behind a row, or with `back` before it."""

    key: uuid.UUID
    moment: datetime | None = None
    back: bool = False

    @classmethod
    def of(cls, order: Order, query: Mapping[str, str]) -> Self | None:
        """Read `after` or `before`; nonsense is the first page."""
        after = query.get("after", "")
        moment, dot, key = (after or query.get("before", "")).partition(".")
        try:
            if not order.moment:
                return cls(key=uuid.UUID(moment), back=not after) if not dot else None
            at = _EPOCH + int(moment) * _MICROSECOND
            return cls(key=uuid.UUID(key), moment=at, back=not after)
        except (ValueError, OverflowError):
            return None

    def beyond(self, order: Order) -> Q:
        """Return the condition "lies beyond this place"."""
        sign = "lt" if order.newest_first != self.back else "gt"
        further = Q(**{f"id__{sign}": self.key})
        if self.moment is None:
            return further
        # The first condition is what an index can begin at; among equals the id decides.
        at = {f"{order.moment}__{sign}e": self.moment}
        return Q(**at) & (Q(**{f"{order.moment}__{sign}": self.moment}) | further)


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
    listed: Across | Few,
    read: Callable[[QuerySet[Any]], QuerySet[Any]],
    *,
    order: Order,
    place: Place | None,
    limit: int,
) -> Page[Any]:
    """Return one page: `read` is given a queryset of its rows and says what to load with them."""
    fields = order.fields(back=place is not None and place.back)
    rows = listed.filter(place.beyond(order)) if place else listed
    keys = rows.keys(fields, limit + 1)
    model = listed.rows.model
    found = list(read(model._default_manager.filter(pk__in=keys)).order_by(*fields))
    return cut(found, order=order, place=place, limit=limit)


def cut(found: list[Row], *, order: Order, place: Place | None, limit: int) -> Page[Row]:
    """Return the page of rows that were read from `place` on, one more than `limit` of them."""
    back = place is not None and place.back
    more, found = len(found) > limit, found[:limit]
    if back:
        found.reverse()
    first, last = (order.place(found[0]), order.place(found[-1])) if found else ("", "")
    return Page(
        rows=found,
        before=first if place and (more if back else found) else "",
        after=last if (found if back else more) else "",
    )
