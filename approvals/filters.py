"""What narrows an inbox, as it stands in an address: risk:high agent:coder repo:acme due:<1h."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q
from django.db.models.functions import Now

from agents.models import Agent
from approvals import deadlines
from approvals.models import Risk
from projects.models import User

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from projects.across import Mine

LONGEST = 300  # characters
MOST = 10  # terms
WORDS = ("risk", "agent", "repo", "requester", "due")
ME = "me"
_DUE = re.compile(r"([<>])([0-9]{1,4})([mhd])")
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


def unknown(given: Filter, mine: Mine) -> list[str]:
    """Say which names are no agent's, or no project's of this person; those of others are as unknown."""
    mine_too = {name.lower() for row in mine.named for name in (row.slug, row.name)}
    repos = [name for name in given.of("repo") if name not in mine_too]
    agents = given.of("agent")
    if agents:
        there = set(Agent.objects.filter(slug__in=agents).values_list("slug", flat=True))
        agents = [slug for slug in agents if slug not in there]
    return [
        *(f"“{name}” is none of your projects." for name in repos),
        *(f"“{slug}” is no agent." for slug in agents),
    ]


def of_approvals(given: Filter, user: User, *, pending: bool = True) -> Q:
    """Return the conditions on approvals; what was decided is not due any more."""
    where = of_tasks(given, user)
    if risks := given.of("risk"):
        where &= Q(risk__in=risks)
    if agents := given.of("agent"):
        where &= _any(Q(outline__agents__contains=[{"slug": slug}]) for slug in agents)
    for due in given.of("due") if pending else ():
        where &= _due(due)
    return where


def of_tasks(given: Filter, user: User) -> Q:
    """Return those conditions that make sense for a task without a proposal."""
    if not (names := given.of("requester")):
        return Q()
    people = User.objects.filter(_any(Q(username__iexact=name) for name in names))
    keys: set[UUID] = set(people.values_list("pk", flat=True))
    return Q(requester__in=keys | ({user.pk} if ME in names else set()))


def _any(conditions: Iterable[Q]) -> Q:
    found = Q()
    for each in conditions:
        found |= each
    return found


def _due(value: str) -> Q:
    way, number, unit = _DUE.fullmatch(value).groups()  # type: ignore[union-attr]  # it was parsed
    span = int(number) * _SPANS[unit]
    if way == ">":  # by the deadline that was sealed: an index has it, and a hold only adds to it
        return Q(expires_at__gt=Now() + span)
    # The first condition is what an index can use; held time is added up for few.
    held = Q(expires_at__lt=deadlines.deciding_now() + span)
    return Q(expires_at__lt=Now() + span) & held


def _problem(part: str, term: Term, colon: str) -> str:
    if not colon:
        return f"“{part}” is no filter: write a word and a value, as in risk:high."
    if term.word not in WORDS:
        return f"“{term.word}” is not known here. Use {', '.join(WORDS[:-1])} or {WORDS[-1]}."
    if not term.value:
        return f"“{part}” needs a value."
    if term.word == "risk" and term.value not in Risk.values:
        return f"“{term.value}” is no risk: write risk:low, risk:medium or risk:high."
    if term.word == "due" and not _DUE.fullmatch(term.value):
        return f"“{term.value}” is no time: write due:<30m, due:<1h or due:>2d."
    return ""
