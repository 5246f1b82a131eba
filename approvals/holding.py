"""Tells whether what was merged onto main again is still the very change that was signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from approvals.models import EffectKind, Risk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sealed = dict[str, Any]

_MISSING = object()
# Each seal has its own; everything else that is sealed is compared, also what is added one day.
_OWN = frozenset({"nonce", "expires_at", "usage", "follows", "asked_again"})
_OWN_OF_PROPOSAL = frozenset({"id", "version"})
_OWN_OF_FILE = frozenset({"id", "hunks"})
_OWN_OF_HUNK = frozenset({"id", "author"})
_MOVED = frozenset({"base", "head", "tree"})  # of an effect, with main
_CLAIMED = ("text", "agent", "verdict")  # the evidence counts tests, of which main may have more
_RUN_ALIKE = ("command", "sandbox")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What makes it another change, by its name; `path` where main changed one of its files."""

    name: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.name} of {self.path}" if self.path else self.name


def difference(old: Sealed, new: Sealed) -> Difference | None:
    """Return the first thing by which `new` is not the change that was signed as `old`, or nothing.

    Both are sealed snapshots. Nothing but what a seal has of its own, and what main changed in other
    files, may differ; and who signed `old` signed that it may.
    """
    return next(_differences(old, new), None)


def _differences(old: Sealed, new: Sealed) -> Iterator[Difference]:
    if old["policy"].get("signatures_hold") is not True:
        yield Difference(name="the policy's consent")
    yield from _files(old["files"], new["files"])
    names = (old.keys() | new.keys()) - _OWN - {"files"}
    # What the policy asks follows from the rest: of a risk that is another that is told.
    for name in sorted(names, key=lambda each: (each == "policy", each)):
        before, now = old.get(name, _MISSING), new.get(name, _MISSING)
        if not _SAME.get(name, _equal)(before, now):
            yield Difference(name=name)


def _files(old: list[Sealed], new: list[Sealed]) -> Iterator[Difference]:
    before, now = ([file["path"] for file in files] for files in (old, new))
    if before != now:
        odd = sorted(set(before) ^ set(now))
        yield Difference(name="the list of files", path=odd[0] if odd else "")
        return
    for one, other in zip(old, new, strict=True):
        yield from _file(one, other)


def _file(old: Sealed, new: Sealed) -> Iterator[Difference]:
    for name in sorted((old.keys() | new.keys()) - _OWN_OF_FILE):
        if old.get(name, _MISSING) != new.get(name, _MISSING):
            yield Difference(name=name, path=new["path"])
    if [_hunk(hunk) for hunk in old["hunks"]] != [_hunk(hunk) for hunk in new["hunks"]]:
        yield Difference(name="the hunks", path=new["path"])


def _hunk(hunk: Sealed) -> Sealed:
    """Leave out by which attempt of a step it came; who wrote it stays."""
    author = hunk["author"] or {}
    by = {name: author.get(name) for name in ("agent", "person")}
    return {**{name: hunk[name] for name in hunk.keys() - _OWN_OF_HUNK}, "by": by}


def _equal(old: Any, new: Any) -> bool:
    return bool(old == new)


def _same_effects(old: Any, new: Any) -> bool:
    """Tell whether both merge the same into the same; nothing but a merge is done onto a main."""
    kinds = {effect["kind"] for effect in (*old, *new)}
    moved = [[_without(effect, _MOVED) for effect in effects] for effects in (old, new)]
    return kinds == {EffectKind.GIT_MERGE} and moved[0] == moved[1]


def _same_proposal(old: Any, new: Any) -> bool:
    return _without(old, _OWN_OF_PROPOSAL) == _without(new, _OWN_OF_PROPOSAL)


def _same_claims(old: Any, new: Any) -> bool:
    told = [[[claim[name] for name in _CLAIMED] for claim in claims] for claims in (old, new)]
    return told[0] == told[1]


def _same_risk(old: Any, new: Any) -> bool:
    higher = Risk(new["level"]).rank > Risk(old["level"]).rank
    return not higher and bool(old["reasons"] == new["reasons"])


def _no_worse_checks(old: Any, new: Any) -> bool:
    """Tell whether the same checks ran and passed both times, and as many of them at least."""
    if not (_passed(old) and _passed(new)):
        return False
    if any(old.get(name) != new.get(name) for name in _RUN_ALIKE):
        return False
    counted = {name: (old.get(name) or 0, new.get(name) or 0) for name in ("passed", "skipped")}
    fewer, skipped = counted["passed"], counted["skipped"]
    return bool(fewer[1] >= fewer[0] and skipped[1] <= skipped[0])


def _passed(checks: Sealed) -> bool:
    went = checks.get("ran") is True and checks.get("exit_code") == 0
    return went and not checks.get("failed") and not checks.get("timed_out")


def _without(facts: Sealed, names: frozenset[str]) -> Sealed:
    return {name: value for name, value in facts.items() if name not in names}


def _same_planners(old: Any, new: Any) -> bool:
    """Tell whether the same agents planned it; what was sealed before that was written names none."""
    return old is _MISSING or bool(old == new)


_SAME: dict[str, Callable[[Any, Any], bool]] = {
    "checks": _no_worse_checks,
    "claims": _same_claims,
    "effects": _same_effects,
    "planned_by": _same_planners,
    "proposal": _same_proposal,
    "risk": _same_risk,
}
