"""Reads the first rows of a list over many projects: each project by its own index, then merged.

`project IN (...)` with an ORDER BY leaves PostgreSQL two bad ways: to walk the order of all projects
until enough rows are of these, or to sort all rows these have. Here each project gives at most as
many rows as are asked for, from the end of an index, so the size of a project does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models.expressions import RawSQL

from projects.models import Membership

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet

    from projects.models import Role, User

Statement = tuple[str, tuple[Any, ...]]

_PROJECT = RawSQL("mine.project_id", ())
_STATE = RawSQL("one.state", ())
_NOTHING: Statement = ("SELECT NULL::uuid WHERE false", ())


def memberships(user: User, *, role: Role | None = None) -> QuerySet[Membership]:
    """Return where an active person is a member, or has this role."""
    mine = Membership.objects.filter(user_id=user.pk)
    if not user.is_active:
        return mine.none()
    return mine.filter(role=role) if role else mine


@dataclass(frozen=True, kw_only=True)
class Across:
    """The rows of a list in the projects of `members`; `path` leads from a row to its project.

    With `states`, each state of each project is read by itself too, by an index that has both.
    """

    rows: QuerySet[Any]
    members: QuerySet[Membership]
    path: str = "project_id"
    states: tuple[str, ...] = ()
    state_path: str = "state"

    def filter(self, *conditions: Any, **facts: Any) -> Self:
        """Return it with fewer rows."""
        return replace(self, rows=self.rows.filter(*conditions, **facts))

    def keys(self, order: Sequence[str], limit: int) -> RawSQL:
        """Return the primary keys of the first rows, for `pk__in`; the caller orders them again."""
        names = [name.removeprefix("-") for name in order]
        ends = [f"one_row.c{place} {_way(name)}" for place, name in enumerate(order, 1)]
        return RawSQL(*self._merged("one_row.c0", ["pk", *names], order, ends, limit))  # noqa: S611  # spelled by us

    def counted(self, cap: int) -> Statement:
        """Return the statement that counts the rows, up to `cap`."""
        inner, params = self._merged("1", ["pk"], (), (), cap)
        return f"SELECT count(*) FROM ({inner}) counted", params  # noqa: S608  # spelled by us

    def count(self, cap: int) -> int:
        """Return how many rows there are, counting no further than `cap`."""
        return counts({"": self.counted(cap)})[""]

    def _merged(
        self,
        shown: str,
        columns: Sequence[str],
        order: Sequence[str],
        ends: Sequence[str],
        limit: int,
    ) -> Statement:
        try:
            row, of_row = self._of_one_project(columns, order, limit)
            mine, of_mine = self.members.order_by().values("project_id").query.sql_with_params()
        except EmptyResultSet:
            return _NOTHING
        given = (*of_mine, list(self.states)) if self.states else of_mine
        parts = [
            f"SELECT {shown} FROM ({mine}) mine(project_id)",  # noqa: S608  # spelled by us
            "CROSS JOIN unnest(%s::text[]) one(state)" if self.states else "",
            f"CROSS JOIN LATERAL ({row}) one_row({_names(len(columns))})",
            f"ORDER BY {', '.join(ends)}" if ends else "",
            f"LIMIT {int(limit)}",
        ]
        return " ".join(filter(None, parts)), (*given, *of_row)

    def _of_one_project(
        self, columns: Sequence[str], order: Sequence[str], limit: int
    ) -> Statement:
        rows = self.rows.filter(**{self.path: _PROJECT})
        if self.states:
            rows = rows.filter(**{self.state_path: _STATE})
        return rows.order_by(*order).values_list(*columns)[:limit].query.sql_with_params()


def either(*keys: RawSQL) -> RawSQL:
    """Return the keys of several lists as one, for `pk__in`."""
    text = " UNION ALL ".join(f"({each.sql})" for each in keys)
    return RawSQL(text, [param for each in keys for param in each.params])  # noqa: S611


def counted(rows: QuerySet[Any], cap: int) -> Statement:
    """Return the statement that counts rows of no project, up to `cap`."""
    try:
        inner, params = rows.order_by().values_list("pk")[:cap].query.sql_with_params()
    except EmptyResultSet:
        inner, params = _NOTHING
    return f"SELECT count(*) FROM ({inner}) counted", params  # noqa: S608  # spelled by Django


def counts(statements: Mapping[str, Statement]) -> dict[str, int]:
    """Answer several counts in one statement."""
    text = ", ".join(f"({statement})" for statement, _ in statements.values())
    params = [param for _, given in statements.values() for param in given]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {text}", params)
        return dict(zip(statements, cursor.fetchone(), strict=True))


def _way(name: str) -> str:
    return "DESC" if name.startswith("-") else "ASC"


def _names(count: int) -> str:
    return ", ".join(f"c{place}" for place in range(count))
