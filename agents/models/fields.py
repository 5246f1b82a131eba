"""Column types that Django does not know."""

from __future__ import annotations

from typing import Any

from django.db import models


class _CurrentTransaction(models.Func):
    function = "pg_current_xact_id"
    arity = 0


class TransactionField(models.BigIntegerField):  # type: ignore[type-arg]
    """The id of the transaction that wrote the row (xid8), given by the database.

    Rows of transactions below `pg_snapshot_xmin(pg_current_snapshot())` are all visible: read in
    the order of (transaction, id) none is ever missed, however late its commit (PostgreSQL manual,
    "System Information Functions").
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"editable": False, "db_default": _CurrentTransaction(), **options})

    def db_type(self, connection: Any) -> str:
        """Return the column type."""
        return "xid8"

    def from_db_value(self, value: str | None, *_: Any) -> int | None:
        """Return a number: the driver hands this type over as text."""
        return None if value is None else int(value)
