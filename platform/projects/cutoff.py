"""Where the first rows of a list over many projects end at the latest, found by looking at a few of each.

Of forty projects each may have all of the first twenty-six rows, so as many are looked at of each: a
thousand, with all that a list asks of a row. But the twenty-sixth of two rows of each lies at or behind
the one that is looked for, and what lies behind it need not be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import DateTimeField, F, Field, ForeignKey, Q, SmallIntegerField, UUIDField
from django.db.models.expressions import RawSQL
from django.db.models.fields.tuple_lookups import TupleGreaterThanOrEqual, TupleLessThanOrEqual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

_SPARE = 2  # times as many rows are looked at as are wanted, of all projects together
_WORTH = 4  # times fewer of each
# What is before and behind all there is, of what lists are sorted by.
_OUTMOST: dict[type[Field[Any, Any]], tuple[str, str]] = {
    DateTimeField: ("'-infinity'::timestamptz", "'infinity'::timestamptz"),
    UUIDField: (f"'{'0' * 32}'::uuid", f"'{'f' * 32}'::uuid"),
    SmallIntegerField: ("(-32768)::smallint", "32767::smallint"),
}


def share(limit: int, lists: int) -> int:
    """Return how many rows of each of these lists tell where so many of all end; 0 if it is not worth it."""
    of_each = -(-_SPARE * limit // lists)
    return of_each if of_each * _WORTH <= limit else 0


def behind_all(model: type[Model], order: Sequence[str]) -> list[str] | None:
    """Return what comes last in this order whatever there is, for each column; None if that is not known."""
    found = []
    for name in order:
        field: Any = model._meta.get_field(name.removeprefix("-"))
        while isinstance(field, ForeignKey):
            field = field.target_field
        outmost = next((each for kind, each in _OUTMOST.items() if isinstance(field, kind)), None)
        # Nothing is before or behind NULL.
        if outmost is None or field.null:
            return None
        found.append(outmost[0 if name.startswith("-") else 1])
    return found


def not_behind(order: Sequence[str]) -> Q:
    """Return the condition that a row is not behind `cut`, which an index can end at.

    An order goes one way in all of its columns.
    """
    compare = TupleGreaterThanOrEqual if order[0].startswith("-") else TupleLessThanOrEqual
    columns = tuple(F(name.removeprefix("-")) for name in order)
    return Q(compare(columns, tuple(RawSQL(f"cut.c{place}", ()) for place in range(len(order)))))  # noqa: S611
