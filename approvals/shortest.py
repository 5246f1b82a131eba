"""Reads what fits a filter from the shortest of the lists that have all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from approvals import filters, lists
from approvals.models import Approval, Listed
from projects import across

if TYPE_CHECKING:
    from django.db.models import Q, QuerySet

    from approvals.filters import Conditions
    from projects.across import Across


def narrowed(listed: Across, fits: Conditions, *, over: bool = False) -> Across:
    """Return what fits of a list of approvals, read from the first of the lists that have all of it."""
    shortest = next(iter(fits.lists), None)
    if shortest is None:
        return replace(listed, rows=_fitting(fits) & listed.rows)
    if shortest.names:
        return _by_name(listed, fits, shortest.names, over=over)
    rows = _fitting(fits).filter(shortest.known) & listed.rows
    return replace(listed, rows=rows, **shortest.read_by)


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
        rows = rows.filter(across.of_each(Exists(there)))
    return lists.named(names, listed.projects, rows)
