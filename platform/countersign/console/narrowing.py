"""What an address leaves of the inbox: a filter, an order, or a saved view that names both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import Http404

from approvals import filters, selectors
from approvals.models import Sort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Q

    from agents.lifecycle import TaskState
    from approvals.filters import Conditions, Filter
    from countersign.console.requests import PersonRequest
    from projects.across import Mine
    from projects.keyset import Order
    from projects.models import User

SORTS = dict(Sort.choices)
_LONG = ("needs-you", "decided")  # tabs with so much in them that the shortest list is looked for
_UNUSED = {"with-agents": ("risk", "agent", "due"), "decided": ("due",)}


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One term, and the address without it."""

    text: str
    address: str
    unused: bool


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """A filter that was read, in which projects it looks, and in which order."""

    user: User
    tab: str
    filter: Filter
    sort: str
    mine: Mine
    problems: list[str]
    known: filters.Known
    view: dict[str, Any] | None = None  # a saved one that is shown as it is

    @property
    def order(self) -> Order:
        """The order of what waits."""
        return selectors.SORTS[self.sort]

    @property
    def words(self) -> str:
        """The order in words."""
        return SORTS[self.sort]

    @cached_property
    def of_approvals(self) -> Conditions:
        """The conditions on approvals of this tab."""
        return filters.of_approvals(self.filter, self.known, pending=self.tab != "decided")

    @cached_property
    def of_calls(self) -> Conditions:
        """The conditions on calls of this tab."""
        if self.tab == "with-agents":
            return filters.of_work(self.filter, self.known)
        return filters.of_calls(self.filter, self.known, pending=self.tab != "decided")

    @cached_property
    def of_tasks(self) -> Q:
        """The conditions on tasks that have no proposal yet."""
        return filters.of_tasks(self.filter, self.known)

    @property
    def task_states(self) -> tuple[TaskState, ...]:
        """The states they may be in."""
        return filters.task_states(self.filter)

    @property
    def kept(self) -> dict[str, str]:
        """What every address of the inbox keeps of it."""
        if self.view:
            return {"view": self.view["id"]}
        return self._typed

    @property
    def _typed(self) -> dict[str, str]:
        sort = "" if self.sort == "due" else self.sort
        return {name: at for name, at in (("q", self.filter.typed), ("sort", sort)) if at}

    @property
    def chips(self) -> list[Chip]:
        """The terms, each with the address that drops it."""
        unused = _UNUSED.get(self.tab, ())
        return [
            Chip(
                text=str(term),
                address=urlencode({**self._typed, "tab": self.tab, "q": self.filter.without(term)}),
                unused=term.word in unused,
            )
            for term in self.filter.terms
        ]

    @property
    def sorts(self) -> list[tuple[str, str, bool]]:
        """The orders to choose from: word, address, and whether it is this one."""
        kept = {"tab": self.tab, **({"q": self.filter.typed} if self.filter.typed else {})}
        return [
            (word, urlencode({**kept, "sort": key}), key == self.sort)
            for key, word in SORTS.items()
        ]


def read(
    request: PersonRequest, mine: Mine, tab: str, views: Sequence[dict[str, Any]]
) -> Narrowing:
    """Read it; what is not understood is a problem, and leaves nothing to be taken for an answer.

    Raises Http404 for a view that is none of this person's `views`.
    """
    view = _view(request, views)
    typed = {"q": view["query"], "sort": view["sort"]} if view else request.GET
    given, sort = filters.parse(typed.get("q", "")), typed.get("sort", "")
    left = filters.narrowed(given, mine)
    measured = left if tab in _LONG else None
    known = filters.look_up(given, request.user, measured, over=tab == "decided")
    problems = [*given.problems, *filters.unknown(given, mine, known)]
    return Narrowing(
        user=request.user,
        tab=tab,
        filter=given,
        sort=sort if sort in SORTS else "due",
        mine=mine.within(()) if problems else left,
        problems=problems,
        known=known,
        view=view,
    )


def _view(request: PersonRequest, views: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not (wanted := request.GET.get("view", "")):
        return None
    found = next((view for view in views if view["id"] == wanted), None)
    if found is None:
        raise Http404
    return found
