"""Inserts many rows in one short statement: as an array for each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db import connection
from django.db.models.expressions import DatabaseDefault
from django.db.models.functions import Now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db import models

    M = TypeVar("M", bound=models.Model)


def insert_all(rows: Sequence[M]) -> list[M]:
    """Insert rows of one model; those that leave a time to the database get its time of now.

    Django sends arrays only when no value is an expression, and a time left to the database is one:
    the thirty columns of fifty steps would be 1,500 placeholders to fill in and to plan.
    """
    if not rows:
        return []
    model = type(rows[0])
    if len(rows) == 1:
        return model._default_manager.bulk_create(rows)
    clocks = [
        field.attname
        for field in model._meta.concrete_fields
        if isinstance(getattr(field, "db_default", None), Now)
    ]
    now = _now() if clocks else None
    for row in rows:
        for name in clocks:
            if isinstance(getattr(row, name), DatabaseDefault | Now):
                setattr(row, name, now)
    return model._default_manager.bulk_create(rows)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
