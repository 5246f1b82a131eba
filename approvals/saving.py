"""Naming a filter of the inbox, so that one key opens it; each person has their own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from agents import storable
from approvals import filters
from approvals.models import MOST_VIEWS, SavedView, Sort
from projects import audit
from projects.exceptions import InvalidInput, TransitionRefused
from projects.models import User

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from projects.across import Statement

LONGEST = 40  # characters of a name
TAKEN = "You have a view of this name. Use another."
DELETED = "This view was deleted meanwhile. Nothing was changed; save the filter as a new one."


def save(
    *, name: str, query: str, by: User, sort: str = Sort.DUE, address: str | None = None
) -> SavedView:
    """Keep a filter and an order under a name, by the first key that is free.

    Locks the person's row, so that two tabs at once take two keys. Raises InvalidInput for a name that
    is taken, a filter that is not understood, and a tenth view.
    """
    view = SavedView(person=by, name=_named(name), query=_understood(query), sort=_known(sort))
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).only("pk").get(pk=by.pk)
        view.position = _free(by)
        with _no_name_twice():
            view.save(force_insert=True)
        _record("view.saved", view, by, address)
    return view


def change(view: SavedView, *, by: User, address: str | None = None, **facts: str) -> SavedView:
    """Give it another name, filter or order.

    Raises InvalidInput as `save` does, and TransitionRefused for one that was deleted meanwhile.
    """
    checks = {"name": _named, "query": _understood, "sort": _known}
    for name, value in facts.items():
        setattr(view, name, checks[name](value))
    told = {"name": view.name, "query": view.query, "sort": view.sort}
    with transaction.atomic():
        with _no_name_twice():
            changed = SavedView.objects.filter(pk=view.pk).update(**told)
        if not changed:
            raise TransitionRefused(DELETED)
        _record("view.changed", view, by, address)
    return view


def delete(view: SavedView, *, by: User, address: str | None = None) -> None:
    """Forget it; twice: once."""
    with transaction.atomic():
        if SavedView.objects.filter(pk=view.pk).delete()[0]:
            audit.record("view.deleted", subject=view, actor=by, address=address, name=view.name)


def find(by: User, key: uuid.UUID) -> SavedView | None:
    """Return a view of this person; those of others are not there."""
    return SavedView.objects.filter(person=by, pk=key).first()


def of(by: User) -> Statement:
    """Return the statement that reads a person's views, as one value beside the counts of a page."""
    text = (
        "SELECT coalesce(json_agg(json_build_object('id', id, 'name', name, 'query', query,"
        " 'sort', sort, 'position', position) ORDER BY position), '[]'::json)"
        " FROM approvals_savedview WHERE person_id = %s"
    )
    return text, (by.pk,)


@contextmanager
def _no_name_twice() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise InvalidInput("name", TAKEN) from error


def _record(action: str, view: SavedView, by: User, address: str | None) -> None:
    facts: dict[str, Any] = {"name": view.name, "query": view.query}
    audit.record(action, subject=view, actor=by, address=address, **facts)


def _named(name: str) -> str:
    _check_text("name", name)
    short = " ".join(name.split())
    if not short or len(short) > LONGEST:
        raise InvalidInput("name", f"A view has a name of 1 to {LONGEST} characters.")
    return short


def _understood(query: str) -> str:
    _check_text("query", query)
    given = filters.parse(query)
    if given.problems:
        raise InvalidInput("query", given.problems[0])
    return given.typed


def _check_text(field: str, value: str) -> None:
    """Refuse what no row can hold; a page's form may bring it, the API has refused it already."""
    if storable.text(value) != value:
        raise InvalidInput(field, "This holds characters that are not text. Remove them.")


def _known(sort: str) -> str:
    if sort not in Sort.values:
        raise InvalidInput("sort", f"Use one of {', '.join(Sort.values)}.")
    return sort


def _free(by: User) -> int:
    taken = set(SavedView.objects.filter(person=by).values_list("position", flat=True))
    free = [key for key in range(1, MOST_VIEWS + 1) if key not in taken]
    if not free:
        raise InvalidInput("name", f"There are {MOST_VIEWS} views already. Delete one first.")
    return free[0]
