"""What narrows an inbox, as it stands in an address: risk:high agent:coder cost:>2 due:<1h."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from agents.lifecycle import TaskState
from agents.models import Agent
from approvals import deadlines
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import COSTS, RANKS, UNDER_AGENT, UNDER_REQUESTER, Listed, Risk
from projects import across, together
from projects.models import User

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

    from django.db.models import QuerySet, TextChoices

    from projects.across import Mine

LONGEST = 300  # characters
MOST = 10  # terms
WORDS = ("risk", "agent", "repo", "requester", "cost", "due", "kind", "state")
KINDS = ("proposal", "call")
WITH_AGENTS = (
    TaskState.QUEUED,
    TaskState.PLANNING,
    TaskState.WORKING,
    TaskState.ASSEMBLING,
    TaskState.EXECUTING,
)
# Of changes, then those that only calls of tools have, then those of tasks that are with agents.
STATES = tuple(dict.fromkeys(map(str, (*ApprovalState.values, *CallState.values, *WITH_AGENTS))))
_NAMED: dict[str, Sequence[str]] = {"risk": Risk.values, "kind": KINDS, "state": STATES}
ME = "me"
_DUE = re.compile(r"([<>])([0-9]{1,4})([mhd])")
_COST = re.compile(r"([<>])([0-9]{1,6}(?:\.[0-9]{1,6})?)")
_COSTS = tuple(map(Decimal, COSTS))
_ALL = Q()
_NONE = Q(pk__in=())
_SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, kw_only=True)
class Term:
    """One word and its value."""

    word: str
    value: str

    def __str__(self) -> str:
        return f"{self.word}:{self.value}"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Terms in the order they were typed; of one word any counts, of several words all do."""

    typed: str = ""
    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms or self.problems)

    def of(self, word: str) -> list[str]:
        """Return the values of a word."""
        return [term.value for term in self.terms if term.word == word]

    def without(self, term: Term) -> str:
        """Return it, as it is typed, without one term."""
        return " ".join(str(each) for each in self.terms if each != term)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What stands behind the names of a filter."""

    agents: frozenset[str] = frozenset()
    people: frozenset[UUID] = frozenset()  # any of them


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a filter asks of approvals, so that a list of its own can be read where few fit.

    Of two such lists the one that is named first is read: requester, cost, agent, risk.
    """

    where: Q = _ALL
    bounds: Q = _ALL  # on risk and due time, which the lists of `under` have, too
    under: tuple[str, ...] = ()  # any of these names; see Listed
    too: tuple[str, ...] = ()  # and any of these
    path: str = ""  # or any of these numbers in this column
    numbers: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.where or self.bounds or self.under or self.path)

    @property
    def all(self) -> Q:
        """All of them at once, for a list that is short."""
        where = self.where & self.bounds
        for names in filter(None, (self.under, self.too)):
            where &= in_lists(names)
        return where & Q(**{f"{self.path}__in": self.numbers}) if self.path else where


def parse(typed: str) -> Filter:
    """Read a filter; what is not understood is a problem in words, and nothing is guessed."""
    text = " ".join(typed.split())
    if len(text) > LONGEST:
        return Filter(typed=text[:LONGEST], problems=(f"A filter has up to {LONGEST} characters.",))
    terms, problems = [], []
    for part in text.split():
        word, colon, value = part.partition(":")
        term = Term(word=word.lower(), value=value.lower())
        if problem := _problem(part, term, colon):
            problems.append(problem)
        else:
            terms.append(term)
    if len(terms) > MOST:
        problems.append(f"A filter has up to {MOST} terms.")
    return Filter(typed=text, terms=tuple(dict.fromkeys(terms)), problems=tuple(problems))


def narrowed(given: Filter, mine: Mine) -> Mine:
    """Return the projects that `repo` leaves of a person's: by slug or by name, all without it."""
    if not (named := set(given.of("repo"))):
        return mine
    return mine.within(row.pk for row in mine.named if {row.slug, row.name.lower()} & named)


def look_up(given: Filter, user: User) -> Known:
    """Return who and what it names, read together."""
    agents, names = given.of("agent"), given.of("requester")
    lists: dict[str, QuerySet[Any]] = {}
    if agents:
        lists["agents"] = Agent.objects.filter(slug__in=agents).only("slug")
    if names:
        people = User.objects.filter(_any(Q(username__iexact=name) for name in names))
        lists["people"] = people.only("username")
    found = together.read(lists)
    me = {user.pk} if ME in names else set()
    return Known(
        agents=frozenset(agent.slug for agent in found.rows("agents")),
        people=frozenset({person.pk for person in found.rows("people")} | me),
    )


def unknown(given: Filter, mine: Mine, known: Known) -> list[str]:
    """Say which names are no agent's, or no project's of this person; those of others are as unknown."""
    mine_too = {name.lower() for row in mine.named for name in (row.slug, row.name)}
    repos = [name for name in given.of("repo") if name not in mine_too]
    agents = [slug for slug in given.of("agent") if slug not in known.agents]
    return [
        *(f"“{name}” is none of your projects." for name in repos),
        *(f"“{slug}” is no agent." for slug in agents),
    ]


def of_approvals(given: Filter, known: Known, *, pending: bool = True) -> Conditions:
    """Return the conditions on approvals; what was decided is not due any more."""
    if not shows(given, "proposal"):
        return Conditions(where=_NONE)
    agents = tuple(f"{UNDER_AGENT}{slug}" for slug in given.of("agent"))
    ranks = tuple(RANKS[Risk(risk)] for risk in given.of("risk"))
    states = _in_states(given, ApprovalState, pending=pending)
    where, bounds = states & _costs(given, "cost"), Q()
    for due in given.of("due") if pending else ():
        bounds &= _due(due)
        where &= _held(due)
    of_risk = Q(risk_rank__in=ranks) if ranks else Q()
    if given.of("requester"):
        under = tuple(f"{UNDER_REQUESTER}{key}" for key in sorted(known.people))
        where &= Q() if under else Q(pk__in=[])
        return Conditions(where=where, bounds=bounds & of_risk, under=under, too=agents)
    if given.of("cost"):
        classes = _classes(given)
        where &= of_risk if classes else Q(pk__in=[])
        path = "cost_class"
        return Conditions(where=where, bounds=bounds, path=path, numbers=classes, too=agents)
    if agents:
        return Conditions(where=where, bounds=bounds & of_risk, under=agents)
    path = "risk_rank" if ranks else ""
    return Conditions(where=where, bounds=bounds, path=path, numbers=ranks)


def of_calls(given: Filter, known: Known, *, pending: bool = True) -> Q:
    """Return the conditions on calls of tools, which have no cost of their own."""
    where = _of_callers(given, known) & _in_states(given, CallState, pending=pending)
    if risks := given.of("risk"):
        where &= Q(risk__in=risks)
    if agents := given.of("agent"):
        where &= Q(agent__in=agents)
    for due in given.of("due") if pending else ():
        where &= _due(due) & _held(due)
    return where


def of_work(given: Filter, known: Known) -> Q:
    """Return those conditions that make sense for a call that is made."""
    return _of_callers(given, known) & _in_states(given, CallState)


def _of_callers(given: Filter, known: Known) -> Q:
    if given.of("cost") or not shows(given, "call"):
        return _NONE
    return Q(requester__in=known.people) if given.of("requester") else Q()


def task_states(given: Filter) -> tuple[TaskState, ...]:
    """Return the states of tasks that are with agents, or those of them that were named."""
    named = given.of("state")
    return tuple(state for state in WITH_AGENTS if not named or state in named)


def shows(given: Filter, kind: str) -> bool:
    """Tell whether changes, or calls, are shown at all."""
    return kind in (given.of("kind") or KINDS)


def of_tasks(given: Filter, known: Known) -> Q:
    """Return those conditions that make sense for a task without a proposal."""
    if not shows(given, "proposal"):
        return _NONE
    where = _costs(given, "usd") if task_states(given) else _NONE
    return where & Q(requester__in=known.people) if given.of("requester") else where


def in_lists(names: Iterable[str], key: str = "pk") -> Q:
    """Return the condition that what `key` names is in one of these lists."""
    there = Listed.objects.filter(approval=OuterRef(key), under__in=names)
    return across.of_each(Exists(there))


def _in_states(given: Filter, kind: type[TextChoices], *, pending: bool = False) -> Q:
    """Return the condition that something is in a state that was named, if any was.

    With `pending` all of a list waits: it asks for all of it, or for nothing.
    """
    if not (named := given.of("state")):
        return _ALL
    states = [state for state in named if state in kind.values]
    if pending:
        return _ALL if ApprovalState.PENDING in states else _NONE
    return Q(state__in=states) if states else _NONE


def _costs(given: Filter, column: str) -> Q:
    where = Q()
    for way, dollars in _parsed(given):
        where &= Q(**{f"{column}__{'gt' if way == '>' else 'lt'}": dollars})
    return where


def _classes(given: Filter) -> tuple[int, ...]:
    """Return the classes of cost that hold what fits."""
    found = set(range(len(_COSTS) + 1))
    for way, dollars in _parsed(given):
        first = bisect_right(_COSTS, dollars)
        last = bisect_left(_COSTS, dollars)
        found &= set(range(first, len(_COSTS) + 1) if way == ">" else range(last + 1))
    return tuple(sorted(found))


def _parsed(given: Filter) -> Iterator[tuple[str, Decimal]]:
    for cost in given.of("cost"):
        way, dollars = _COST.fullmatch(cost).groups()  # type: ignore[union-attr]  # it was parsed
        yield way, Decimal(dollars)


def _any(conditions: Iterable[Q]) -> Q:
    found = Q()
    for each in conditions:
        found |= each
    return found


def _due(value: str) -> Q:
    """Return the condition on the deadline that was sealed: an index has it."""
    way, span = _span(value)
    return Q(**{f"expires_at__{'gt' if way == '>' else 'lt'}": Now() + span})


def _held(value: str) -> Q:
    """Return what is added to it by a hold, for those few that are due soon; later stays later."""
    way, span = _span(value)
    return Q() if way == ">" else Q(expires_at__lt=deadlines.deciding_now() + span)


def _span(value: str) -> tuple[str, timedelta]:
    way, number, unit = _DUE.fullmatch(value).groups()  # type: ignore[union-attr]  # it was parsed
    return way, int(number) * _SPANS[unit]


def _problem(part: str, term: Term, colon: str) -> str:
    if not colon:
        return f"“{part}” is no filter: write a word and a value, as in risk:high."
    if term.word not in WORDS:
        return f"“{term.word}” is not known here. Use {_either(WORDS)}."
    if not term.value:
        return f"“{part}” needs a value."
    if term.word in _NAMED and term.value not in _NAMED[term.word]:
        named = _either([f"{term.word}:{name}" for name in _NAMED[term.word]])
        return f"“{term.value}” is no {term.word}: write {named}."
    if term.word == "cost" and not _COST.fullmatch(term.value):
        return f"“{term.value}” is no cost: write cost:>2 or cost:<0.50, in US dollars."
    if term.word == "due" and not _DUE.fullmatch(term.value):
        return f"“{term.value}” is no time: write due:<30m, due:<1h or due:>2d."
    return ""


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
