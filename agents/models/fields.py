"""Column types that Django does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F

if TYPE_CHECKING:
    import uuid


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


class TitleWords(models.Func):
    """The words of a task's title and, as one more word, its project: so that the index of words finds
    those of some projects without reading the rest."""

    template = (
        "(array_to_tsvector(ARRAY['p' || replace((%(project)s)::text, '-', '')]) "
        "|| to_tsvector('simple', %(title)s))"
    )
    output_field = SearchVectorField()

    def __init__(self) -> None:
        super().__init__(F("project"), F("title"))

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        """Spell it."""
        (project, _), (title, _) = (
            compiler.compile(each) for each in self.get_source_expressions()
        )
        return self.template % {"project": project, "title": title}, []

    @staticmethod
    def project(project: uuid.UUID) -> str:
        """Return the word that stands for a project."""
        return f"p{project.hex}"
