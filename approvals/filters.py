"""What narrows an inbox, as it stands in an address: risk:high agent:coder cost:>2 due:<1h."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import OuterRef, Q

from agents.lifecycle import TaskState
from agents.models import Agent
from approvals import lists
from approvals.lateness import Later, Sooner
from approvals.lifecycle import ApprovalState, CallState
from approvals.lists import List
from approvals.models import (
    COSTS,
    RANKS,
    UNDER_AGENT,
    UNDER_REQUESTER,
    CallReminder,
    Listed,
    Reminder,
    Risk,
)
from projects import across, together
from projects.models import User

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from django.db.models import QuerySet, TextChoices

    from approvals.deadlines import Reminders
    from projects.across import Mine, Statement

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
_SHORT = {"requester", "cost", "agent", "state", "risk"}  # words by which there are lists
_LOOK = 8  # rows of an index are read in the time of one that is looked up
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
    lengths: Mapping[str, int] = field(default_factory=dict)  # by word, where lists are several

    def costs(self, each: List) -> float:
        """Return what it costs to read all of a list; of those too long to count the first is read.

        What else is asked of a row an index tells, but whether it is of an agent is looked up.
        """
        length = self.lengths.get(each.word, 0)
        if length >= lists.MEASURED:
            return math.inf
        return length if each.word == "agent" or "agent" not in self.lengths else _LOOK * length


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a filter asks of approvals, and the lists of their own that have all of it.

    The shortest comes first; it is read (see `shortest`). What all that waits has is asked for, too,
    with nothing to look for: it leaves out what does not wait.
    """

    asked: bool = False  # for something else than where it is
    where: Q = _ALL
    bounds: Q = _ALL  # on what rows of `Listed` say, too
    agents: tuple[str, ...] = ()  # in the list of any of these
    lists: tuple[List, ...] = ()
    later: Later | None = None

    def __bool__(self) -> bool:
        return bool(self.asked or self.where or self.bounds or self.agents or self.later)

    @property
    def all(self) -> Q:
        """All of them at once, for a list that is short."""
        where = self.where & self.bounds & (self.later.all if self.later else _ALL)
        return where & in_lists(self.agents) if self.agents else where


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


def look_up(given: Filter, user: User, mine: Mine | None = None, *, over: bool = False) -> Known:
    """Return who and what it names, and how long the lists of `mine` are by it, read together."""
    agents, names = given.of("agent"), given.of("requester")
    people = User.objects.filter(_any(Q(username__iexact=name) for name in names))
    me = Q(pk=user.pk) if ME in names else _NONE
    rows: dict[str, QuerySet[Any]] = {}
    if agents:
        rows["agents"] = Agent.objects.filter(slug__in=agents).only("slug")
    if names:
        rows["people"] = people.only("username")
    asked = people | User.objects.filter(me)
    numbers = _lengths(given, asked, mine.projects, over=over) if mine else {}
    found = together.read(rows, numbers)
    return Known(
        agents=frozenset(agent.slug for agent in found.rows("agents")),
        people=frozenset(
            {person.pk for person in found.rows("people")} | ({user.pk} if ME in names else set())
        ),
        lengths={word: found.number(word) for word in numbers},
    )


def _lengths(
    given: Filter, people: QuerySet[User], projects: Sequence[UUID], *, over: bool
) -> dict[str, Statement]:
    """Return the statements that tell how long each list is, where there is more than one to read."""
    found = {
        each.word: each.length(projects, over=over)
        for each in _lists(given, frozenset(), pending=not over)
        if each.word != "requester"
    }
    if given.of("requester"):
        found["requester"] = lists.length_of(people, projects, over=over)
    return found if len(found) > 1 else {}


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
    states = _in_states(given, ApprovalState, pending=pending)
    if states == _NONE or not shows(given, "proposal") or _nothing_fits(given, known):
        return Conditions(where=_NONE)
    where, bounds = Q(), states & _costs(given, "cost")
    if given.of("risk"):
        bounds &= Q(risk_rank__in=_ranks(given))
    if given.of("requester"):
        bounds &= Q(requester__in=sorted(known.people))
    sooner, later = _due(given, Reminder) if pending else ([], None)
    for due in sooner:
        bounds &= due.bounds
        where &= due.where
    return Conditions(
        asked=any(term.word != "repo" for term in given.terms),
        where=where,
        bounds=bounds,
        agents=_agents(given),
        lists=tuple(sorted(_lists(given, known.people, pending=pending), key=known.costs)),
        later=later,
    )


def _nothing_fits(given: Filter, known: Known) -> bool:
    nobody = bool(given.of("requester")) and not known.people
    return nobody or (bool(given.of("cost")) and not _classes(given))


def _agents(given: Filter) -> tuple[str, ...]:
    return tuple(f"{UNDER_AGENT}{slug}" for slug in given.of("agent"))


def _ranks(given: Filter) -> tuple[int, ...]:
    return tuple(RANKS[Risk(risk)] for risk in given.of("risk"))


def _lists(given: Filter, people: frozenset[UUID], *, pending: bool) -> Iterator[List]:
    """Return the lists that have all that fits; by risk alone most fit, so it is no short one."""
    states = () if pending else tuple(s for s in given.of("state") if s in ApprovalState.values)
    if given.of("requester"):
        names = tuple(f"{UNDER_REQUESTER}{key}" for key in sorted(people))
        yield List(word="requester", names=names)
    if given.of("cost"):
        yield List(word="cost", path="cost_class", values=_classes(given))
    if states and ApprovalState.APPROVED not in states:  # of most that was decided there is no list
        yield List(word="state", path="state", values=states)
    if given.of("agent"):
        yield List(word="agent", names=_agents(given))
    if {term.word for term in given.terms} & _SHORT == {"risk"}:
        yield List(word="risk", path="risk_rank", values=_ranks(given))


def of_calls(given: Filter, known: Known, *, pending: bool = True) -> Conditions:
    """Return the conditions on calls of tools, which have no cost of their own."""
    where = _of_callers(given, known) & _in_states(given, CallState, pending=pending)
    if risks := given.of("risk"):
        where &= Q(risk__in=risks)
    if agents := given.of("agent"):
        where &= Q(agent__in=agents)
    sooner, later = _due(given, CallReminder) if pending else ([], None)
    for due in sooner:
        where &= due.bounds & due.where
    return Conditions(where=where, later=later)


def of_work(given: Filter, known: Known) -> Conditions:
    """Return those conditions that make sense for a call that is made."""
    return Conditions(where=_of_callers(given, known) & _in_states(given, CallState))


def _of_callers(given: Filter, known: Known) -> Q:
    if given.of("cost") or not shows(given, "call"):
        return _NONE
    return Q(requester__in=known.people) if given.of("requester") else Q()


def task_states(given: Filter) -> tuple[TaskState, ...]:
    """Return the states of tasks that are with agents, or those of them that were named.

    What is queued has cost nothing yet: who asks for what has need not have it walked through.
    """
    named = given.of("state")
    spent = any(way == ">" for way, _ in _parsed(given))
    states = (state for state in WITH_AGENTS if not spent or state != TaskState.QUEUED)
    return tuple(state for state in states if not named or state in named)


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
    return across.of_each(there)


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


def _due(given: Filter, reminders: Reminders) -> tuple[list[Sooner], Later | None]:
    spans = [_DUE.fullmatch(due).groups() for due in given.of("due")]  # type: ignore[union-attr]  # it was parsed
    times = [(way, int(number) * _SPANS[unit]) for way, number, unit in spans]
    later = max((span for way, span in times if way == ">"), default=None)
    return (
        [Sooner(span=span, reminders=reminders) for way, span in times if way == "<"],
        None if later is None else Later(span=later, reminders=reminders),
    )


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
