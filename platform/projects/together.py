"""Reads several short lists and numbers in one statement: a page waits once, not once for each.

Each list is a sub-select of its own, so each is found by its own index; its rows come as JSON and are
made objects again. Not for long lists or long texts: JSON is written and read for every value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import (
    BooleanField,
    CharField,
    DateField,
    DecimalField,
    FloatField,
    ForeignKey,
    GeneratedField,
    GenericIPAddressField,
    IntegerField,
    JSONField,
    TextField,
    UUIDField,
)

from projects.connections import kept_cursor
from projects.prepared import Given, numbered, settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import Field, Model, QuerySet

    from projects.across import Statement

_NOTHING = "NULL::text"
_TEXTS = (CharField, TextField)
# Others are written in ways of their own (bytes, spans of time, ranges) or not for reading at all.
_KINDS = (
    *_TEXTS,
    BooleanField,
    DateField,  # and of times
    DecimalField,
    FloatField,
    GenericIPAddressField,
    IntegerField,
    JSONField,
    UUIDField,
)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A list that was spelled before, for one that is read often; its `Given` marks are named when it
    is read."""

    rows: QuerySet[Any]
    statement: Statement

    @classmethod
    def of(cls, rows: QuerySet[Any]) -> Self:
        """Spell it; raises TypeError as `read` does."""
        return cls(rows=rows, statement=settled(*_as_json(rows)))


class Found:
    """What was read, by name."""

    def __init__(self, lists: Mapping[str, list[Any]], numbers: Mapping[str, Any]) -> None:
        self._lists, self._numbers = lists, numbers

    def rows(self, name: str) -> list[Any]:
        """Return a list, in its order; one that was not asked for is empty."""
        return self._lists.get(name, [])

    def first(self, name: str) -> Any | None:
        """Return the first row of a list, if there is any."""
        return next(iter(self.rows(name)), None)

    def number(self, name: str) -> Any:
        """Return a number."""
        return self._numbers[name]


def read(
    lists: Mapping[str, QuerySet[Any] | Ready],
    numbers: Mapping[str, Statement] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Found:
    """Read the lists, and the numbers their statements give; `given` is what `Given` marks name.

    Of a queryset its filter, order, limit, `defer` and annotations count; what it would join to show
    is not loaded. Raises TypeError for a field that JSON would bend.
    """
    numbers = numbers or {}
    ready = {
        name: rows if isinstance(rows, Ready) else Ready.of(rows) for name, rows in lists.items()
    }
    texts = [each.statement for each in ready.values()]
    parts = [*(f"({text})" for text, _ in texts), *(f"({text})" for text, _ in numbers.values())]
    marks = [mark for _, marks in (*texts, *numbers.values()) for mark in marks]
    if not parts:
        return Found({}, {})
    known = given or {}
    params = [known[each.name] if isinstance(each, Given) else each for each in marks]
    with kept_cursor() as cursor:
        cursor.execute(*numbered(f"SELECT {', '.join(parts)}", params))  # spelled by us
        found = cursor.fetchone()
    made = {
        name: _made(each.rows, json.loads(text or "[]"))
        for (name, each), text in zip(ready.items(), found, strict=False)
    }
    return Found(made, dict(zip(numbers, found[len(ready) :], strict=True)))


def keep(row: Model, relation: str, related: Iterable[Any]) -> None:
    """Give a row its related rows, which were read already: `row.relation.all()` asks no more."""
    known = getattr(row, relation).get_queryset()
    known._result_cache, known._prefetch_done = list(related), True
    row.__dict__.setdefault("_prefetched_objects_cache", {})[relation] = known


def _as_json(rows: QuerySet[Any]) -> Statement:
    names = [*_columns(rows), *rows.query.annotations]
    try:
        text, params = rows.values_list(*names).query.sql_with_params()
    except EmptyResultSet:
        return f"SELECT {_NOTHING}", ()
    places = [f"c{place}" for place in range(len(names))]
    values = ", ".join(map(_carried, names, _fields(rows), places))
    row = f"one_row({', '.join(places)})"
    return f"SELECT json_agg(json_build_array({values}))::text FROM ({text}) {row}", params  # noqa: S608  # ours


def _fields(rows: QuerySet[Any]) -> list[Field[Any, Any]]:
    """Return what reads each value of a row: of its columns, then of its annotations."""
    fields = {field.attname: _read_as(field) for field in rows.model._meta.concrete_fields}
    annotations = rows.query.annotations.values()
    return [
        *(fields[name] for name in _columns(rows)),
        *(each.output_field for each in annotations),
    ]


def _read_as(field: Field[Any, Any]) -> Field[Any, Any]:
    """Return what reads a column: of one the database makes, what it makes; itself it reads nothing."""
    generated = isinstance(field, GeneratedField) and field.output_field
    return generated or field


def _carried(name: str, field: Field[Any, Any], place: str) -> str:
    """Return a column as JSON holds it without loss; raises TypeError for what it would bend."""
    while isinstance(field, ForeignKey):
        field = field.target_field
    if isinstance(field, ArrayField):
        carried = isinstance(field.base_field, _TEXTS)
    else:
        carried = isinstance(field, _KINDS)
    if not carried:
        raise TypeError(
            f"{name} cannot be read together: JSON does not carry {type(field).__name__}."
        )
    # A number of JSON is read as a float.
    return f"{place}::text" if isinstance(field, DecimalField) else place


def _columns(rows: QuerySet[Any]) -> list[str]:
    names, deferred = rows.query.deferred_loading
    fields = rows.model._meta.concrete_fields
    return [
        field.attname
        for field in fields
        if field.primary_key or ({field.name, field.attname} & set(names) == set()) == deferred
    ]


def _made(rows: QuerySet[Any], values: list[list[Any]]) -> list[Any]:
    model, columns = rows.model, _columns(rows)
    reads = [field.to_python for field in _fields(rows)]
    made = []
    for row in values:
        given = [read(value) for read, value in zip(reads, row, strict=True)]
        one = model.from_db(connection.alias, columns, given[: len(columns)])
        for name, value in zip(rows.query.annotations, given[len(columns) :], strict=True):
            setattr(one, name, value)
        made.append(one)
    return made
