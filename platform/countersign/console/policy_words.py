"""The policy of a project in plain words: what all needs that is put up, and what its rules ask besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from approvals.models import AtExpiry, EffectKind, ReadWhole, Remember, Remind, Risk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from approvals.models import Policy, PolicyRule
    from projects.models import User

_HALF = {
    Remind.NOBODY: "Nobody is reminded at half of that time.",
    Remind.LEADS: "At half of that time all tech leads who may sign are reminded.",
}
_CALL_AT_EXPIRY = {
    AtExpiry.GO_ON: "the agent goes on without it",
    AtExpiry.ASK: "a person is asked how its step goes on",
}
_READ_WHOLE = {
    ReadWhole.RULES: "Every file is viewed where a rule asks for it.",
    ReadWhole.HIGH: "Of what is high risk each who approves has viewed every file.",
    ReadWhole.MEDIUM: "Of what is medium or high risk each who approves has viewed every file.",
    ReadWhole.LOW: "Each who approves has viewed every file.",
}
_STANDING = {
    Remember.NONE: "No standing grant can be made: each call that needs permission is asked for.",
    Remember.REPEATABLE: "A standing grant can be for tools marked as only reading, or as idempotent.",
    Remember.ANY: "A standing grant can be for any tool, also one whose calls cannot be taken back.",
}


@dataclass(frozen=True, kw_only=True)
class Where:
    """One thing a rule looks at, and of what it is one."""

    says: str
    among: Sequence[str]
    mono: bool = False


@dataclass(frozen=True, kw_only=True)
class RuleWords:
    """A rule: where it applies, everywhere if nothing is named, and what it asks for."""

    name: str
    where: list[Where]
    asks: list[str]


def of_changes(policy: Policy, *, alone: bool) -> list[str]:
    """Return what a change or a report needs; `alone`: one person may do everything here."""
    most, seconds = policy.signatures_needed, policy.undo_seconds
    return [
        f"It takes {most} signatures, each of another tech lead."
        if most > 1
        else "It takes 1 signature of a tech lead.",
        "One person may do everything here: who asked for it may sign it."
        if alone
        else "Who asked for it never signs it.",
        "Who edited it in the review may sign it alone."
        if policy.editors_alone
        else "Above low risk, who edited it in the review does not sign it alone.",
        _READ_WHOLE[ReadWhole(policy.every_file_from)],
        "Where one signature is enough, who approves what is high risk types the task's label."
        if policy.typed_confirmation
        else "What is high risk is approved without typing anything.",
        f"An approval can be undone for {seconds} s, and is carried out then."
        if seconds
        else "An approval is carried out at once.",
        "Where main has moved in other files only, signatures hold."
        if policy.signatures_hold
        else "Where main has moved, it is signed anew.",
        "What is low risk, reversible and green may be approved together with others like it."
        if policy.bulk_allowed
        else "Each is approved by itself, on its review page.",
    ]


def of_time(policy: Policy) -> list[str]:
    """Return how long somebody can decide, who is reminded, and what becomes of it at the end."""
    people = _either(policy.remind_people.all(), "and") if policy.names_people else ""
    half = _HALF.get(Remind(policy.remind_half)) or f"At half of that time {people} are told."
    hours = policy.extend_hours
    return [
        f"It can be decided for {policy.expires_hours} h.",
        half,
        f"At its end it is put off once, by {hours} h, and {people or 'all tech leads'} are told; "
        "then it expires."
        if hours
        else "At its end it expires.",
        "Time never approves: what expires is not carried out, and can be put up again.",
    ]


def of_calls(policy: Policy) -> list[str]:
    """Return what a call of a tool needs that waits for permission."""
    most, seconds = policy.signatures_needed, policy.call_undo_seconds
    at_expiry = _CALL_AT_EXPIRY[AtExpiry(policy.call_at_expiry)]
    return [
        f"It takes {most} permissions, each of another tech lead."
        if most > 1
        else "It takes 1 permission of a tech lead.",
        "Where one is enough, who allows what is high risk types the task's label."
        if policy.typed_confirmation
        else "What is high risk is allowed without typing anything.",
        f"It can be undone for {seconds} s, and is made then; its agent waits with it."
        if seconds
        else "It is made at once.",
        f"When nobody decides in time nothing is called, and {at_expiry}.",
        _STANDING[Remember(policy.standing_grants)],
    ]


def of_rule(rule: PolicyRule) -> RuleWords:
    """Return a rule in words; its people were read with it."""
    return RuleWords(name=rule.name, where=list(_where(rule)), asks=list(_asks(rule)))


def _where(rule: PolicyRule) -> Iterator[Where]:
    if rule.risks:
        yield Where(says="the risk is", among=[Risk(each).label for each in rule.risks])
    if rule.paths:
        yield Where(says="a changed path fits", among=rule.paths, mono=True)
    if rule.kinds:
        yield Where(says="an effect is", among=[EffectKind(each).label for each in rule.kinds])
    if rule.tools:
        yield Where(says="a called tool fits", among=rule.tools, mono=True)


def _asks(rule: PolicyRule) -> Iterator[str]:
    if most := rule.signatures_needed:
        yield f"{most} signature{'s' * (most > 1)}"
    if people := _either(rule.signers.all(), "or"):
        yield f"{'one of them by' if most else 'a signature of'} {people}"
    if rule.every_file_viewed:
        yield "every file viewed by each who approves"
    if rule.bulk_forbidden:
        yield "each approved by itself"
    if rule.undo_seconds is not None:
        yield f"an undo window of {rule.undo_seconds} s"
    if rule.expires_hours is not None:
        yield f"a decision within {rule.expires_hours} h"


def _either(people: Iterable[User], word: str) -> str:
    *others, last = sorted(person.display_name for person in people) or [""]
    return f"{', '.join(others)} {word} {last}" if others else last
