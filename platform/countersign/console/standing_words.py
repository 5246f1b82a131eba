"""Standing grants in words: what each argument may be, and how a grant stands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.timezone import localtime

from approvals.models import Standing
from approvals.standing import patterns as standing
from approvals.standing.patterns import Kind
from countersign.console import held
from countersign.console.looks import Look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from approvals.models import StandingGrant
    from approvals.standing.patterns import Pattern

SHOWN = 200  # characters of a value in its line; the rest is folded away
_LOOKS = {
    Standing.ACTIVE: Look(word="In force", icon="check", tone="ok"),
    Standing.USED_UP: Look(word="Used up", icon="check-check", tone="muted"),
    Standing.EXPIRED: Look(word="Expired", icon="timer-off", tone="muted"),
    Standing.REVOKED: Look(word="Revoked", icon="ban", tone="bad"),
}
_SAYS = {
    Kind.EXACT: "is exactly",
    Kind.PREFIX: "begins with",
    Kind.GLOB: "fits the pattern",
    Kind.ANY: "may be anything",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one argument may be; `example` is what the call says that it was made from.

    `whole` is the value where `value` is only its beginning.
    """

    name: str
    says: str
    value: str
    whole: str
    example: str
    wide: bool


def look_of(grant: Any) -> Look:  # as `shown` of its selectors
    """Return how a grant stands; one whose call can be undone still lets nothing through."""
    if grant.state == Standing.ACTIVE and grant.hold_scope:
        return Look(word=f"After {held.until_of(grant.hold_scope)}", icon="pause", tone="ink")
    if grant.state == Standing.ACTIVE and grant.begins_at:
        word = f"From {localtime(grant.begins_at):%H:%M:%S}"
        return Look(word=word, icon="timer", tone="ink")
    return _LOOKS[Standing(grant.state)]


def lines(patterns: Mapping[str, Pattern], example: Mapping[str, Any] | None = None) -> list[Line]:
    """Return a line for each argument, by name."""
    return [_line(name, pattern, example) for name, pattern in sorted(patterns.items())]


def _line(name: str, pattern: Pattern, example: Mapping[str, Any] | None) -> Line:
    text = "" if pattern.kind == Kind.ANY else _text(pattern.value)
    return Line(
        name=name,
        says=_SAYS[pattern.kind],
        value=_cut(text),
        whole=text if len(text) > SHOWN else "",
        example=_example(pattern, name, example),
        wide=pattern.kind == Kind.ANY,
    )


def of_grant(grant: StandingGrant) -> list[Line]:
    """Return the lines of a stored grant; none when its text was tampered with: it lets nothing through."""
    try:
        return lines(standing.read(grant.patterns))
    except ValueError:
        return []


def shown(value: Any) -> str:
    """Return a value as people read it, cut to a line: text as it is, anything else as JSON."""
    return _cut(_text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _example(pattern: Pattern, name: str, example: Mapping[str, Any] | None) -> str:
    if example is None or pattern.kind == Kind.EXACT:
        return ""
    return shown(example[name])
