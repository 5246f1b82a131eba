"""Querysets whose SQL is made once: making it takes a millisecond, three times what PostgreSQL needs.

Django makes it anew whenever a queryset is read. What each step of each task asks stands here as a
queryset all the same, so it is still the models that say which columns there are.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Field, ForeignObject, Lookup
from django.db.transaction import TransactionManagementError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Given:
    """Stands in a prepared queryset for a list that is named when it is read."""

    name: str


class AnyOf(Lookup):
    """`column__any=Given("ids")`: is in a list sent as one array, however long it is."""

    lookup_name = "any"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Spell it."""
        sql, params = self.process_lhs(compiler, connection)
        return f"{sql} = ANY(%s)", (*params, self.rhs)


Field.register_lookup(AnyOf)
ForeignObject.register_lookup(AnyOf)  # which does not take its lookups from Field


class Prepared(Generic[R]):
    """Reads a queryset with what is given for its `Given` marks; for models and values_list."""

    def __init__(self, made: Callable[[], QuerySet[Any, R]]) -> None:
        self._made = made

    def __call__(self, **given: list[Any]) -> list[R]:
        """Return the rows; raises TransactionManagementError when it locks outside a transaction."""
        return self.ask(**given)()

    def ask(self, **given: list[Any]) -> Callable[[], list[R]]:
        """Send the question and return what reads the rows: of several that are `sent_together`."""
        spelled, connection = self._spelled, connections[DEFAULT_DB_ALIAS]
        if spelled.locks and connection.get_autocommit():
            raise TransactionManagementError("Rows can be locked only inside a transaction.")
        marks = spelled.params
        params = tuple(given[each.name] if isinstance(each, Given) else each for each in marks)
        cursor = connection.cursor()
        cursor.execute(spelled.sql, params)

        def read() -> list[R]:
            with cursor:
                rows = cursor.fetchall()
            compiler = copy.copy(spelled.compiler)
            compiler.connection = connection
            compiler.execute_sql = lambda *_, **__: [rows]
            compiler.get_converters = lambda _: spelled.converters
            return list(spelled.iterable(_Question(spelled.model, compiler)))

        return read

    @cached_property
    def _spelled(self) -> _Spelled:
        queryset = self._made()
        compiler: Any = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        columns = [column for column, *_ in compiler.select[: compiler.col_count]]
        converters = compiler.get_converters(columns)
        compiler.connection = None  # the first reader's; it would stay open with this
        return _Spelled(
            sql=sql,
            params=params,
            locks=queryset.query.select_for_update,
            compiler=compiler,
            converters=converters,
            iterable=queryset._iterable_class,
            model=queryset.model,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spelled:
    sql: str
    params: tuple[Any, ...]
    locks: bool
    compiler: Any
    converters: Any
    iterable: Any
    model: Any


class _Question:
    """What Django's iterables ask of a queryset and of its query."""

    db = DEFAULT_DB_ALIAS

    def __init__(self, model: Any, compiler: Any) -> None:
        self.model = model
        self.query = self
        self._known_related_objects: dict[Any, Any] = {}
        self._compiler = compiler

    def get_compiler(self, using: str) -> Any:
        return self._compiler
