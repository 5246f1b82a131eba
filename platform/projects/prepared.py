"""Querysets whose SQL is made once: making it takes a millisecond, three times what PostgreSQL needs.

Django makes it anew whenever a queryset is read. What each step of each task asks stands here as a
queryset all the same, so it is still the models that say which columns there are.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Field, ForeignObject, Lookup, Q
from django.db.transaction import TransactionManagementError
from psycopg.sql import Literal

from projects.connections import kept_cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

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


@Field.register_lookup
class Among(Lookup):
    """`pk__among=keys`: the row is one of those whose keys these are, which are read first.

    IN is joined, by what PostgreSQL expects to pay for the keys: where that is far too much, all ways
    seem to cost the same, and it read every call there was to find the 26 of a page.
    """

    lookup_name = "among"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Spell it; the keys are a statement in brackets."""
        row, of_row = self.process_lhs(compiler, connection)
        keys, of_keys = self.process_rhs(compiler, connection)
        return f"{row} = ANY(ARRAY{keys})", (*of_row, *of_keys)


def within(path: str, keys: Collection[UUID]) -> Q:
    """Return the condition that `path` is one of these keys, however many there are: as one array.

    Of none it is the condition that nothing fits, which Django does not ask.
    """
    return Q(**{f"{path}__any": list(keys)}) if keys else Q(**{f"{path}__in": []})


def settled(sql: str, params: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Write into a statement what it asks of everybody: its states, its limits and the like.

    What is left are keys and moments, and so one plan is right for all who ask: an index of what waits
    is used only by a plan that knows that it is asked for what waits.
    """
    given, left = iter(params), []

    def put(mark: re.Match[str]) -> str:
        if mark[0] == "%%":
            return "%%"
        value = next(given)
        if _differs(value):
            left.append(value)
            return "%s"
        return Literal(value).as_string(connection.connection).replace("%", "%%")

    connection.ensure_connection()
    return _MARK.sub(put, sql), tuple(left)


_MARK = re.compile("%[s%]")


def numbered(sql: str, params: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Return a statement that is sent what differs once each, however often it stands in it.

    The forty projects of a person stand in a page's longest statement sixteen times: to send them took
    longer than to answer it.
    """
    places: dict[Any, int] = {}
    order = tuple(places.setdefault(_hashable(value), len(places)) for value in params)
    return _numbered(sql, order), dict(zip(map("p{}".format, order), params, strict=True))


@lru_cache(maxsize=64)
def _numbered(sql: str, order: tuple[int, ...]) -> str:
    left = iter(order)
    return _MARK.sub(lambda mark: "%%" if mark[0] == "%%" else f"%(p{next(left)})s", sql)


def _hashable(value: Any) -> Any:
    """Return what is equal for the same value of the same type; nothing is like an empty list."""
    if not isinstance(value, list):
        return type(value), value
    return tuple(value) or object()


def _differs(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_differs, value)) or not value
    return isinstance(value, (UUID, datetime, Given))


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
        params = {
            name: given[each.name] if isinstance(each, Given) else each
            for name, each in spelled.params.items()
        }
        cursor = kept_cursor()
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
        sql, params = numbered(*settled(*compiler.as_sql()))
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
    params: dict[str, Any]
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
