"""The one way any row changes its state: a conditional UPDATE on the old state."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db import models


@contextmanager
def together() -> Iterator[None]:
    """Join the caller's transaction, or make one; unlike atomic() in atomic(), without a savepoint.

    For a change and its event: they fail before anything is written or by an error of the database,
    which ends the whole transaction. A savepoint would cost two statements and save nothing.
    """
    if connection.in_atomic_block:
        yield
    else:
        with transaction.atomic():
            yield


def move(
    row: models.Model,
    to: str,
    *,
    moves: Mapping[str, frozenset[str]],
    guard: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Move `row` from its loaded state to `to` and write `facts` with it.

    Raises TransitionRefused when `moves` has no such arrow, or when the row in the
    database has left the loaded state or no longer matches `guard` (somebody was faster).
    """
    old = row.state  # type: ignore[attr-defined]
    check(row, to, moves)
    found = type(row)._base_manager.filter(pk=row.pk, state=old, **(guard or {}))
    if not found.update(state=to, **facts):
        raise TransitionRefused(f"{_name(row)} is no longer {old}, so it did not become {to}.")
    for field, value in {"state": to, **facts}.items():
        setattr(row, field, value)


def check(row: models.Model, to: str, moves: Mapping[str, frozenset[str]]) -> None:
    """Raise TransitionRefused when there is no arrow from the loaded state of `row` to `to`."""
    old = row.state  # type: ignore[attr-defined]
    if to not in moves[old]:
        raise TransitionRefused(f"{_name(row)} is {old}; it cannot become {to}.")


def _name(row: models.Model) -> str:
    return f"{row._meta.verbose_name} {row.pk}"
