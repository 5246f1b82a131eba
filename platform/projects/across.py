"""Reads the first rows of a list over many projects: each project by its own index, then merged.

`project IN (...)` with an ORDER BY leaves PostgreSQL two bad ways: to walk the order of all projects
until enough rows are of these, or to sort all rows these have. Here each project gives at most as
many rows as are asked for, from the end of an index, so the size of a project does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, Subquery, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from projects import cutoff
from projects.models import Membership, Role
from projects.prepared import Given, Prepared, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from uuid import UUID

    from django.db.models import Model, QuerySet

    from projects.models import Project, User

Made = TypeVar("Made")
Statement = tuple[str, tuple[Any, ...]]
# Lists of so many are kept as they were spelled, a megabyte each: Django needs 5 ms for one.
PERSONS = 64
PROJECT = RawSQL("mine.project_id", ())  # of whose rows a list is read, one after another
_STATE = RawSQL("one.state", ())
_NOTHING: Statement = ("SELECT NULL::uuid WHERE false", ())
_NOTHING_COUNTED: Statement = ("SELECT 0", ())
_MEMBERSHIPS: Prepared[Membership] = Prepared(
    lambda: (
        Membership.objects.filter(user__any=Given("people"))
        .select_related("project")
        .order_by("project_id")
    )
)


@dataclass(frozen=True, kw_only=True)
class Mine:
    """The projects of one person, as they were read: all, and those they lead or only ask in.

    Equal when lists of them are spelled alike.
    """

    led: tuple[UUID, ...] = ()
    asking: tuple[UUID, ...] = ()
    singles: tuple[UUID, ...] = ()  # where one person may do everything
    named: tuple[Project, ...] = field(default=(), compare=False)  # all of them, by name

    @classmethod
    def of(cls, user: User) -> Mine:
        """Read them; a person who was switched off has none."""
        if not user.is_active:
            return cls()
        rows = _MEMBERSHIPS(people=[user.pk])
        named = sorted((row.project for row in rows), key=lambda project: project.name)
        return cls(
            led=tuple(row.project_id for row in rows if row.role == Role.LEAD),
            asking=tuple(row.project_id for row in rows if row.role != Role.LEAD),
            singles=tuple(project.pk for project in named if project.single_person),
            named=tuple(named),
        )

    def within(self, projects: Iterable[UUID]) -> Self:
        """Return it with fewer projects; all of them keep their names."""
        kept = set(projects)
        return replace(
            self,
            led=tuple(key for key in self.led if key in kept),
            asking=tuple(key for key in self.asking if key in kept),
        )

    @property
    def projects(self) -> tuple[UUID, ...]:
        """The keys of all of them."""
        return self.led + self.asking


@dataclass(frozen=True, kw_only=True)
class Across:
    """The rows of a list in these projects; `path` leads from a row to its project.

    With `states`, each state of each project is read by itself too, by an index that has both.
    Rows that only stand for those of a list name their `key` and the `listed` model. Each statement is
    spelled once.
    """

    rows: QuerySet[Any]
    projects: Sequence[UUID]
    path: str = "project_id"
    states: tuple[str | int, ...] = ()
    state_path: str = "state"
    state_type: str = "text"
    key: str = "id"
    listed: type[Model] | None = None
    sparse: bool = False  # even the first few of a project may lie far behind
    _kept: dict[Hashable, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    @property
    def model(self) -> type[Model]:
        """What the keys are of."""
        return self.listed or self.rows.model

    def filter(self, *conditions: Any, **facts: Any) -> Self:
        """Return it with fewer rows; as it is, with what is kept of it, where nothing is asked of them."""
        asked = [each for each in conditions if each]
        if not asked and not facts:
            return self
        return replace(self, rows=self.rows.filter(*asked, **facts), sparse=True)

    def keys(self, order: Sequence[str], limit: int) -> RawSQL:
        """Return the primary keys of the first rows, for `pk__among`; the caller orders them again.

        The key is part of the order, else rows might change places between pages.
        """
        order = tuple(_renamed(name, self.key) for name in order)
        names = tuple(name.removeprefix("-") for name in order)
        ends = tuple(f"one_row.c{place} {_way(name)}" for place, name in enumerate(order))
        key = f"one_row.c{names.index(self.key)}"
        return RawSQL(*self._merged(key, names, order, ends, limit))  # noqa: S611  # spelled by us

    def first(
        self,
        read: Callable[[QuerySet[Any]], QuerySet[Any]],
        order: Sequence[str],
        limit: int,
        *,
        beyond: Q | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        """Return the first rows as `read`, a function of a module, says what to load with them.

        With `beyond` the first of those it fits; it is spelled once, with `Given` marks for what differs.
        """
        key = (read, *order, limit, beyond is not None)
        spelled = self.kept(key, lambda: self.filter(beyond)._prepared(read, order, limit))
        return spelled(**(given or {}))

    def kept(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what is made of this list, once for a key."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[no-any-return]

    def _prepared(
        self, read: Callable[[QuerySet[Any]], QuerySet[Any]], order: Sequence[str], limit: int
    ) -> Prepared[Any]:
        # Made here and not when it is asked: what held this list would be kept by it, and a list that is
        # not kept any more would stay until all rubbish is looked through, a megabyte each.
        # Each who asks gets a copy: two threads that spell one queryset spoil it for each other.
        return Prepared(self._loaded(read, order, limit).all)

    def _loaded(
        self, read: Callable[[QuerySet[Any]], QuerySet[Any]], order: Sequence[str], limit: int
    ) -> QuerySet[Any]:
        found = self.model._default_manager.filter(pk__among=self.keys(order, limit))
        return read(found).order_by(*order)

    def each(self, order: Sequence[str], limit: int) -> RawSQL:
        """Return the primary keys of so many rows of each project, for `pk__among`."""
        found = self._merged("one_row.c0", ("pk",), tuple(order), (), limit, each=True)
        return RawSQL(*found)  # noqa: S611  # spelled by us

    def counted(self, cap: int) -> Statement:
        """Return the statement that counts the rows, up to `cap`."""
        inner, params = self._merged("1", ("pk",), (), (), cap)
        if (inner, params) == _NOTHING:
            return _NOTHING_COUNTED
        return f"SELECT count(*) FROM ({inner}) counted", params  # noqa: S608  # spelled by us

    def count(self, cap: int) -> int:
        """Return how many rows there are, counting no further than `cap`."""
        return counts({"": self.counted(cap)})[""]

    def _merged(self, *asked: Any, each: bool = False) -> Statement:
        return self.kept((asked, each), lambda: self._spell(*asked, each=each))

    def _spell(
        self,
        shown: str,
        columns: Sequence[str],
        order: Sequence[str],
        ends: Sequence[str],
        limit: int,
        *,
        each: bool,
    ) -> Statement:
        if not self.projects:
            return _NOTHING
        try:
            cut, of_cut = self._cut(columns, order, ends, limit) if ends else ("", ())
            row, of_row = self._of_one_project(columns, order, limit, cut=bool(cut))
        except EmptyResultSet:
            return _NOTHING
        parts = [
            f"SELECT {shown} FROM {cut}{self._every}",  # noqa: S608  # spelled by us
            f"CROSS JOIN LATERAL ({row}) one_row({_names(len(columns))})",
            f"GROUP BY {_names(len(columns))}" if self._repeats else "",
            f"ORDER BY {', '.join(ends)}" if ends else "",
            "" if each else f"LIMIT {int(limit)}",
        ]
        return settled(" ".join(filter(None, parts)), (*of_cut, *self._given, *of_row))

    def _cut(
        self, columns: Sequence[str], order: Sequence[str], ends: Sequence[str], limit: int
    ) -> Statement:
        """Return the row no row of the first so many is behind, to be joined; nothing if it is not
        worth it. Of a list that repeats itself it would count the same row twice, to find few rows of a
        sparse one is to read it all, and of two ends of a range an index is given one."""
        of_each = cutoff.share(limit, len(self.projects) * max(1, len(self.states)))
        last = cutoff.behind_all(self.rows.model, order)
        if not of_each or last is None or self._repeats or self.sparse:
            return "", ()
        row, of_row = self._of_one_project(columns, order, of_each)
        names, by = _names(len(columns)), ", ".join(ends)
        text = (
            f"(SELECT {names} FROM ((SELECT {names} FROM {self._every}"  # noqa: S608  # spelled by us
            f" CROSS JOIN LATERAL ({row}) one_row({names}) ORDER BY {by}"
            f" OFFSET {int(limit) - 1} LIMIT 1) UNION ALL (SELECT {', '.join(last)}))"
            f" one_row({names}) ORDER BY {by} LIMIT 1) cut CROSS JOIN "
        )
        return text, (*self._given, *of_row)

    @property
    def _every(self) -> str:
        """Every project, and every state of it."""
        projects = "unnest(%s::uuid[]) mine(project_id)"
        states = f" CROSS JOIN unnest(%s::{self.state_type}[]) one(state)"
        return f"{projects}{states}" if self.states else projects

    @property
    def _given(self) -> list[Any]:
        return [list(self.projects), *([list(self.states)] if self.states else [])]

    @property
    def _repeats(self) -> bool:
        """Tell whether the same key may be found more than once."""
        return self.listed is not None and len(self.states) > 1

    def _of_one_project(
        self, columns: Sequence[str], order: Sequence[str], limit: int, *, cut: bool = False
    ) -> Statement:
        rows = self.rows.filter(**{self.path: PROJECT})
        if cut:
            rows = rows.filter(cutoff.not_behind(order))
        if self.states:
            rows = rows.filter(**{self.state_path: _STATE})
        return rows.order_by(*order).values_list(*columns)[:limit].query.sql_with_params()


@dataclass(frozen=True, kw_only=True)
class Few:
    """The rows of a list that is short by itself, as what one person put off: read as they are."""

    rows: QuerySet[Any]
    key: str = "id"

    @property
    def model(self) -> type[Model]:
        """What the keys are of."""
        return self.rows.model

    def filter(self, *conditions: Any, **facts: Any) -> Self:
        """Return it with fewer rows."""
        return replace(self, rows=self.rows.filter(*conditions, **facts))

    def keys(self, order: Sequence[str], limit: int) -> RawSQL:
        """Return the primary keys of the first rows, for `pk__among`; the caller orders them again."""
        rows = self.rows.order_by(*order).values_list("pk")[:limit]
        try:
            return RawSQL(*rows.query.sql_with_params())  # noqa: S611  # spelled by Django
        except EmptyResultSet:
            return RawSQL(*_NOTHING)  # noqa: S611


@dataclass(frozen=True, kw_only=True)
class Either:
    """A list that is read by several ways, each with its own range of an index.

    A row may be found by two of them: as keys, for `pk__among`, it is one.
    """

    lists: tuple[Across, ...]

    @property
    def key(self) -> str:
        """What the rows of each are known by."""
        return self.lists[0].key

    @property
    def model(self) -> type[Model]:
        """What the keys are of."""
        return self.lists[0].model

    def filter(self, *conditions: Any, **facts: Any) -> Self:
        """Return it with fewer rows."""
        return replace(self, lists=tuple(each.filter(*conditions, **facts) for each in self.lists))

    def keys(self, order: Sequence[str], limit: int) -> RawSQL:
        """Return the primary keys of the first rows of each way, for `pk__among`: so many are first.

        The caller orders them again, and takes no more: to do that here is to guess how many there are.
        """
        return either(*(each.keys(order, limit) for each in self.lists))


def of_each(there: QuerySet[Any]) -> Q:
    """Return the condition "there is one of these" as one that is asked of each row that is looked at.

    A plain EXISTS is joined, in an order that PostgreSQL guesses from how many rows it expects: where
    a few of the first rows are wanted it often reads all. Within CASE it is planned in two ways, and
    what it asks in turn in four: planning took longer than to do it.
    """
    first = there.order_by().values_list(Value(value=True))[:1]
    return Q(Coalesce(Subquery(first), Value(value=False)))


def either(*lists: RawSQL) -> RawSQL:
    """Return the keys of several lists as one, for `pk__among`."""
    keys = [each for each in lists if each.sql != _NOTHING[0]] or lists[:1]
    text = " UNION ALL ".join(f"({each.sql})" for each in keys)
    return RawSQL(text, [param for each in keys for param in each.params])  # noqa: S611


def counted(rows: QuerySet[Any], cap: int) -> Statement:
    """Return the statement that counts rows of no project, up to `cap`."""
    try:
        rows = rows.order_by().values_list("pk")[:cap]
        inner, params = settled(*rows.query.sql_with_params())
    except EmptyResultSet:
        inner, params = _NOTHING
    return f"SELECT count(*) FROM ({inner}) counted", params  # noqa: S608  # spelled by Django


def added(first: Statement, *others: Statement, cap: int) -> Statement:
    """Return the statement of a sum that ends at `cap`; the others are not read when the first does."""
    known = [each for each in others if each != _NOTHING_COUNTED]
    more = " + ".join(f"({text})" for text, _ in known) or "0"
    text = (
        f"SELECT least({int(cap)}, one.n + CASE WHEN one.n < {int(cap)} THEN {more} ELSE 0 END) "  # noqa: S608  # ours
        f"FROM ({first[0]}) one(n)"
    )
    return text, (*(param for _, given in known for param in given), *first[1])


def counts(statements: Mapping[str, Statement]) -> dict[str, int]:
    """Answer several counts in one statement, as `values` does."""
    return values(statements)


def values(statements: Mapping[str, Statement]) -> dict[str, Any]:
    """Answer several counts, or other single values, in one statement; what is surely nothing is not asked."""
    zero: dict[str, Any] = {
        name: 0 for name, statement in statements.items() if statement == _NOTHING_COUNTED
    }
    statements = {name: each for name, each in statements.items() if name not in zero}
    if not statements:
        return zero
    text = ", ".join(f"({statement})" for statement, _ in statements.values())
    params = [param for _, given in statements.values() for param in given]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {text}", params)
        return zero | dict(zip(statements, cursor.fetchone(), strict=True))


def _renamed(name: str, key: str) -> str:
    return {"id": key, "-id": f"-{key}"}.get(name, name)


def _way(name: str) -> str:
    return "DESC" if name.startswith("-") else "ASC"


def _names(count: int) -> str:
    return ", ".join(f"c{place}" for place in range(count))
