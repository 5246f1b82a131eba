"""Inserts many rows in one short statement, spelled once: as an array for each column.

Django makes an INSERT anew for each list of rows, and sends arrays only when no value is left to the
database: the thirty columns of fifty steps would be 1,500 placeholders to fill in and to plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connection
from django.db.models import AutoField, GeneratedField
from django.db.models.expressions import DatabaseDefault
from django.db.models.functions import Now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db import models

    M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How rows of one model are inserted."""

    sql: str
    fields: list[Any]
    clocks: list[str]  # the times that may be left to the database


def insert_all(rows: Sequence[M]) -> list[M]:
    """Insert rows of one model; those that leave a time to the database get its time of now.

    A key that the database counts is not read back, nor is what it derives. Raises TypeError for a
    model that leaves anything else to the database, in a column or in a row.
    """
    ask_insert(rows)()
    return list(rows)


def ask_insert(rows: Sequence[models.Model]) -> Callable[[], None]:
    """Send what `insert_all` sends and return what reads the times: of several `sent_together`."""
    if not rows:
        return lambda: None
    form = _form(type(rows[0]))
    columns = [[_value(field, row) for row in rows] for field in form.fields]
    cursor = connection.cursor()
    cursor.execute(form.sql, columns)

    def read() -> None:
        with cursor:
            times = {row[0]: row[1:] for row in cursor.fetchall()} if form.clocks else {}
        for row in rows:
            row._state.adding, row._state.db = False, connection.alias
            if form.clocks:
                for name, value in zip(form.clocks, times[row.pk], strict=True):
                    setattr(row, name, value)

    return read


@cache
def _form(model: type[models.Model]) -> _Form:
    fields: list[Any] = [
        field
        for field in model._meta.concrete_fields
        if not isinstance(field, AutoField | GeneratedField)
    ]
    # Where Django has a default, too, a row never comes without a value.
    left = [field for field in fields if field.has_db_default() and not field.has_default()]
    clocks = [field for field in left if isinstance(field.db_default, Now)]
    if clocks != left:
        raise TypeError(f"{model.__name__} has other defaults in the database than times.")
    if (clocks and model._meta.pk not in fields) or any(
        f.db_type(connection).endswith("]") for f in fields
    ):
        raise TypeError(f"{model.__name__} has a counted key beside times, or a column of arrays.")
    quote = connection.ops.quote_name
    names = [quote(field.column) for field in fields]
    # Without the length: a cast cuts off in silence what the column would refuse.
    arrays = [f"%b::{field.db_type(connection).partition('(')[0]}[]" for field in fields]
    values = [
        f"coalesce(given.{name}, statement_timestamp())" if field in clocks else f"given.{name}"
        for field, name in zip(fields, names, strict=True)
    ]
    sql = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(names)}) SELECT {', '.join(values)}"  # noqa: S608  # of our models' names
        f" FROM unnest({', '.join(arrays)}) AS given({', '.join(names)})"
    )
    if clocks:
        read = [model._meta.pk.column, *(field.column for field in clocks)]
        sql += f" RETURNING {', '.join(map(quote, read))}"
    return _Form(sql=sql, fields=fields, clocks=[field.attname for field in clocks])


def _value(field: Any, row: models.Model) -> Any:
    value = field.pre_save(row, add=True)
    if field.has_db_default() and isinstance(value, DatabaseDefault | Now):
        return None
    if hasattr(value, "as_sql"):
        raise TypeError(f"{field} is not a value: {value!r}")
    plain = field.get_db_prep_save(value, connection)
    return plain.value if isinstance(plain, Enum) else plain
