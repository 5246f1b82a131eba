"""“Allow and remember”: what a tech lead sets, and in words what it would let through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from approvals.canonical import digest_of
from approvals.standing import granting, patterns
from approvals.standing.granting import HITS, HOURS, Asked
from approvals.standing.patterns import MAX_PATTERN, Kind, Pattern
from countersign.console import standing_words
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from approvals.models import CallApproval
    from approvals.standing.granting import Terms
    from projects.models import User

LOOK, REMEMBER = "look", "remember"
MOST_ROWS = 50  # a form takes so many fields; calls with more arguments are remembered exactly
SPANS = (
    (1, "an hour"),
    (8, "8 hours"),
    (24, "a day"),
    (72, "3 days"),
    (168, "a week"),
    (720, "30 days"),
)
_EXACT_OR_ANY = (Kind.EXACT, Kind.ANY)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One argument of the call, and how further calls may differ in it."""

    place: int
    name: str
    given: str
    chosen: Kind
    value: str
    kinds: list[Kind]
    is_text: bool


def context_of(call: CallApproval, user: User, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what the form shows; `terms` is what a click on it agrees to."""
    if refusal := granting.why_none(call, user):
        return {"refusal": refusal}
    try:
        terms = granting.terms_in(call, asked_in(typed, call))
    except InvalidInput:
        terms = None  # the page says what is wrong; nothing can be agreed to
    return {
        "rows": _rows(call, typed),
        "spans": [(hours, word, str(hours) == _span(typed)) for hours, word in SPANS],
        "max_hits": typed.get("max_hits", str(HITS)),
        "any_agent": typed.get("whose") == "any",
        "open": typed.get("verdict") in {LOOK, REMEMBER},
        "max_pattern": MAX_PATTERN,
        "terms": terms,
        "agreed": name_of(terms) if terms else "",
        "lines": standing_words.lines(terms.patterns, call.original) if terms else (),
        "span": _word(terms.hours) if terms else "",
    }


def asked_in(typed: Mapping[str, str], call: CallApproval) -> Asked:
    """Read what was set; raises InvalidInput. What is not there stays as narrow as it can be."""
    names = _names(call)
    widened = {
        name: _pattern(typed, place)
        for place, name in enumerate(names)
        if typed.get(f"as-{place}", Kind.EXACT) != Kind.EXACT
    }
    return Asked(
        widened=widened,
        only_this_agent=typed.get("whose") != "any",
        hours=_whole(_span(typed)),
        max_hits=_whole(typed.get("max_hits", str(HITS))),
    )


def name_of(terms: Terms) -> str:
    """Return the name of what the page showed: a click on other terms shows them first."""
    return digest_of(terms.told())


def _rows(call: CallApproval, typed: Mapping[str, str]) -> list[Row]:
    given = call.original
    return [_row(place, name, given[name], typed) for place, name in enumerate(_names(call))]


def _row(place: int, name: str, given: Any, typed: Mapping[str, str]) -> Row:
    chosen, is_text = typed.get(f"as-{place}", ""), isinstance(given, str)
    return Row(
        place=place,
        name=name,
        given=standing_words.shown(given),
        chosen=Kind(chosen) if chosen in Kind.values else Kind.EXACT,
        value=typed.get(f"says-{place}", _begun(given)),
        kinds=list(Kind) if is_text else list(_EXACT_OR_ANY),
        is_text=is_text,
    )


def _begun(given: Any) -> str:
    """Return what a lead begins to widen: what can be neither prefix nor glob is not offered."""
    return given[:MAX_PATTERN] if isinstance(given, str) and patterns.is_plain(given) else ""


def _names(call: CallApproval) -> list[str]:
    names = sorted(call.original)
    return names if len(names) <= MOST_ROWS else []


def _pattern(typed: Mapping[str, str], place: int) -> Pattern:
    kind = typed.get(f"as-{place}", "")
    if kind not in Kind.values:
        raise InvalidInput(patterns.FIELD, "Choose how an argument is compared.")
    return Pattern(kind=Kind(kind), value=typed.get(f"says-{place}", ""))


def _span(typed: Mapping[str, str]) -> str:
    return typed.get("hours", str(HOURS))


def _word(hours: int) -> str:
    return dict(SPANS).get(hours, f"{hours} hours")


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
