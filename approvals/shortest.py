"""Reads what fits a filter from the shortest of the lists that have all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db.models import OuterRef, Q

from approvals import filters, lists
from approvals.models import Approval, Listed
from projects import across
from projects.across import Either, Few

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    from approvals.filters import Conditions
    from projects.across import Across


def narrowed(listed: Across, fits: Conditions, *, over: bool = False) -> Across | Either:
    """Return what fits of a list of approvals, read from the first of the lists that have all of it."""
    if not fits:
        return listed
    lists = tuple(_narrowed(listed, each, over=over) for each in _ways(fits))
    return Either(lists=lists) if len(lists) > 1 else lists[0]


def of_calls(listed: Across | Few, fits: Conditions) -> Across | Either | Few:
    """Return what fits of a list of calls."""
    if not fits:
        return listed
    if fits.later is None or isinstance(listed, Few):
        return listed.filter(fits.all)
    return Either(lists=tuple(listed.filter(each.where, each.bounds) for each in _ways(fits)))


def _ways(fits: Conditions) -> Iterator[Conditions]:
    """Return what fits by each range of an index it is read by: most often by one."""
    for bounds, where in fits.later.ways if fits.later else [(Q(), Q())]:
        yield replace(fits, bounds=fits.bounds & bounds, where=fits.where & where, later=None)


def _narrowed(listed: Across, fits: Conditions, *, over: bool) -> Across:
    shortest = next(iter(fits.lists), None)
    if shortest is None:
        return replace(listed, rows=_fitting(fits) & listed.rows, sparse=True)
    if shortest.names:
        return _by_name(listed, fits, shortest.names, over=over)
    rows = _fitting(fits).filter(shortest.known) & listed.rows
    return replace(listed, rows=rows, sparse=True, **shortest.read_by)


def _fitting(fits: Conditions) -> QuerySet[Approval]:
    # In front of other conditions: asked of each row, what leaves out most comes first.
    return Approval.objects.filter(fits.where, fits.bounds, *_in_agents(fits, "pk"))


def _in_agents(fits: Conditions, key: str) -> list[Q]:
    return [filters.in_lists(fits.agents, key)] if fits.agents else []


def _by_name(listed: Across, fits: Conditions, names: tuple[str, ...], *, over: bool) -> Across:
    others = [] if names == fits.agents else _in_agents(fits, "approval_id")
    rows = Listed.objects.filter(fits.bounds, *others, decided_at__isnull=not over)
    if not over or fits.where:
        there = listed.rows.filter(fits.where, pk=OuterRef("approval"), project=OuterRef("project"))
        rows = rows.filter(across.of_each(there))
    return replace(lists.named(names, listed.projects, rows), sparse=True)
