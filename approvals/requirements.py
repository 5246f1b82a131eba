"""What a policy and its rules ask of a proposal or a call, as it is sealed, and whether signatures meet it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agents.workspace.paths import matches
from approvals import rights
from approvals.models import EffectKind, ReadWhole, Remind, Risk

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from approvals.models import Policy, PolicyRule
    from approvals.rights import Decidable
    from projects.models import User


@dataclass(frozen=True, kw_only=True)
class Named:
    """One of these people must be among those who sign."""

    rule: str
    people: dict[str, str]  # names by id

    @property
    def sentence(self) -> str:
        """Say who, and which rule asks for them."""
        *others, last = self.people.values() or ["nobody who may sign"]
        named = f"{', '.join(others)} or {last}" if others else last
        return f"{named} (rule “{self.rule}”)"


@dataclass(frozen=True, kw_only=True)
class Reminders:
    """Who is reminded while it waits, and whether the end of its time is put off, once."""

    half: str = Remind.NOBODY
    extend_hours: int = 0  # it expires
    people: dict[str, str] = field(default_factory=dict)  # names by id

    @classmethod
    def sealed(cls, policy: dict[str, Any]) -> Reminders:
        """Read it from a snapshot; of those sealed before nobody is reminded."""
        found = policy.get("reminders", {})
        return cls(
            half=found.get("half", Remind.NOBODY),
            extend_hours=found.get("extend_hours", 0),
            people={one["id"]: one["name"] for one in found.get("people", ())},
        )

    def seal(self) -> dict[str, Any]:
        """Return it as it stands in a snapshot."""
        people = [{"id": pk, "name": name} for pk, name in self.people.items()]
        return {"half": str(self.half), "extend_hours": self.extend_hours, "people": people}


@dataclass(frozen=True, kw_only=True)
class Required:
    """What is asked of one proposal or call: of all that applies, the strictest."""

    signatures: int
    undo_seconds: int
    expires_hours: int
    every_file: bool = False  # is viewed by each who approves
    bulk: bool = False  # may be approved together with others
    hold: bool = False  # signatures hold when main moved in other files
    rules: tuple[str, ...] = ()  # by name, those that apply
    named: tuple[Named, ...] = ()
    not_alone: dict[str, str] = field(default_factory=dict)  # who edited it; names by id
    editors_alone: bool = False  # they may, after all
    reminders: Reminders = field(default_factory=Reminders)
    at_expiry: str = ""  # of a call: whether its agent goes on
    typed: bool = False  # who approves types the task's label

    @classmethod
    def sealed(cls, snapshot: dict[str, Any]) -> Required:
        """Read it from a snapshot; those sealed before there were rules have none.

        Of calls sealed before policies spoke of them one signature is asked.
        """
        policy = snapshot["policy"]
        named = (
            Named(rule=each["rule"], people={one["id"]: one["name"] for one in each["anyone_of"]})
            for each in policy.get("signers", ())
        )
        return cls(
            signatures=policy.get("signatures_needed", 1),
            undo_seconds=policy.get("undo_seconds", 0),
            expires_hours=policy.get("expires_hours", 0),
            every_file=policy.get("every_file_viewed", False),
            bulk=policy.get("bulk_allowed", False),
            hold=policy.get("signatures_hold", False),
            rules=tuple(policy.get("rules", ())),
            named=tuple(named),
            not_alone={one["id"]: one["name"] for one in policy.get("not_alone", ())},
            editors_alone=policy.get("editors_alone", False),
            reminders=Reminders.sealed(policy),
            at_expiry=policy.get("at_expiry", ""),
            typed=policy.get("typed_confirmation", False),
        )

    @classmethod
    def now(cls, approval: Decidable) -> Required:
        """Read what is asked of an approval now: while one person may do everything, who edited it
        may be the only one to sign, as where the sealed policy says so."""
        sealed = cls.sealed(approval.snapshot)
        alone = sealed.editors_alone or rights.one_person(approval)
        return replace(sealed, not_alone={}) if alone else sealed

    def seal(self) -> dict[str, Any]:
        """Return it as it stands in a snapshot."""
        not_alone = [{"id": pk, "name": name} for pk, name in self.not_alone.items()]
        edited = {"not_alone": not_alone, "editors_alone": self.editors_alone}
        of_call = {"at_expiry": str(self.at_expiry)} if self.at_expiry else {}
        typed = {"typed_confirmation": True} if self.typed else {}
        return (
            (edited if not_alone else {})
            | of_call
            | typed
            | {
                "signatures_needed": self.signatures,
                "undo_seconds": self.undo_seconds,
                "expires_hours": self.expires_hours,
                "every_file_viewed": self.every_file,
                "bulk_allowed": self.bulk,
                "signatures_hold": self.hold,
                "rules": list(self.rules),
                "reminders": self.reminders.seal(),
                "signers": [
                    {
                        "rule": each.rule,
                        "anyone_of": [{"id": pk, "name": name} for pk, name in each.people.items()],
                    }
                    for each in self.named
                ],
            }
        )

    def missing(
        self, signed: Collection[uuid.UUID], stood_for: Collection[uuid.UUID] = ()
    ) -> list[str]:
        """Return what is still asked for when these people have signed, as the ends of a sentence.

        Those they `stood_for` count where a rule names them, and make no signature more.
        """
        named = (each.sentence for each in self.unnamed({*signed, *stood_for}))
        alone = ["one by somebody who did not edit it"] if self.only_editors(signed) else []
        return [*self._more(len(signed)), *named, *alone]

    def only_editors(self, signed: Collection[uuid.UUID]) -> bool:
        """Tell whether nobody has signed but those who edited it and must not be the only ones."""
        return bool(self.not_alone) and {str(pk) for pk in signed} <= self.not_alone.keys()

    def unnamed(self, signed: Collection[uuid.UUID]) -> list[Named]:
        """Return the rules none of whose people has signed."""
        ids = {str(pk) for pk in signed}
        return [each for each in self.named if ids.isdisjoint(each.people)]

    def _more(self, signed: int) -> Iterator[str]:
        if (more := self.signatures - signed) > 0:
            yield "one more signature" if more == 1 else f"{more} more signatures"


def of(policy: Policy, rules: Sequence[PolicyRule], snapshot: dict[str, Any]) -> Required:
    """Return what is asked of a snapshot whose risk, files and effects are known.

    The requester is nobody a rule can wait for, except where one person may do everything.
    """
    applied = [rule for rule in rules if _applies(rule, _of_proposal(snapshot))]
    signatures = max([policy.signatures_needed, *_set(applied, "signatures_needed")])
    level = snapshot["risk"]["level"]
    return Required(
        signatures=signatures,
        undo_seconds=max([policy.undo_seconds, *_set(applied, "undo_seconds")]),
        expires_hours=min([policy.expires_hours, *_set(applied, "expires_hours")]),
        every_file=_read_whole(policy, level) or any(rule.every_file_viewed for rule in applied),
        bulk=policy.bulk_allowed and not any(rule.bulk_forbidden for rule in applied),
        hold=policy.signatures_hold,
        rules=tuple(rule.name for rule in applied),
        named=_everybody_named(applied, snapshot),
        not_alone=_not_alone(snapshot),
        editors_alone=policy.editors_alone,
        reminders=_reminders(policy),
        typed=_typed(policy, level, signatures),
    )


def of_call(
    policy: Policy, rules: Sequence[PolicyRule], snapshot: dict[str, Any], *, risk: Risk
) -> Required:
    """Return what is asked of a call of a tool: whose permission, how many, and until when.

    It has no files to look at and is decided by itself. High risk is what neither only reads nor may
    be repeated: who alone allows that types its task's label, too.
    """
    called = frozenset({_tool(snapshot["call"])})
    call = _About(risk=risk, kinds=frozenset({EffectKind.MCP_CALL}), tools=called)
    applied = [rule for rule in rules if _asks_of_calls(rule) and _applies(rule, call)]
    signatures = max([policy.signatures_needed, *_set(applied, "signatures_needed")])
    return Required(
        signatures=signatures,
        undo_seconds=max([policy.call_undo_seconds, *_set(applied, "undo_seconds")]),
        expires_hours=min([policy.expires_hours, *_set(applied, "expires_hours")]),
        rules=tuple(rule.name for rule in applied),
        named=_everybody_named(applied, snapshot),
        reminders=_reminders(policy),
        at_expiry=policy.call_at_expiry,
        typed=_typed(policy, risk, signatures),
    )


def _typed(policy: Policy, level: str, signatures: int) -> bool:
    """Tell whether who decides for it types it: what is high risk, where nobody else is asked to look.

    What cannot be undone is high risk by its score; a report is not, as it stays in Countersign.
    """
    return policy.typed_confirmation and level == Risk.HIGH and signatures == 1


def _read_whole(policy: Policy, level: str) -> bool:
    """Tell whether every file is viewed of what has this risk, whatever its rules ask."""
    least = policy.every_file_from
    return least != ReadWhole.RULES and Risk(level).rank >= Risk(least).rank


def _reminders(policy: Policy) -> Reminders:
    return Reminders(
        half=policy.remind_half,
        extend_hours=policy.extend_hours or 0,
        people=_by_name(policy.remind_people.all()) if policy.names_people else {},
    )


def _not_alone(snapshot: dict[str, Any]) -> dict[str, str]:
    """Return who edited the change: at low risk their own look is enough, else another's is needed.

    Sealed where one person may do everything, too: that may end before they sign.
    """
    if snapshot["risk"]["level"] == Risk.LOW:
        return {}
    return {one["id"]: one["name"] for one in snapshot.get("edited_by", ())}


@dataclass(frozen=True, kw_only=True)
class _About:
    """What a rule looks at to see whether it applies."""

    risk: str
    kinds: frozenset[str]
    paths: frozenset[str] = frozenset()  # that are changed
    tools: frozenset[str] = frozenset()  # that are called: server/tool


def _of_proposal(snapshot: dict[str, Any]) -> _About:
    files, effects = snapshot["files"], snapshot["effects"]
    paths = (path for file in files for path in (file["path"], file["old_path"]) if path)
    calls = (effect for effect in effects if effect["kind"] == EffectKind.MCP_CALL)
    return _About(
        risk=snapshot["risk"]["level"],
        kinds=frozenset(effect["kind"] for effect in effects),
        paths=frozenset(paths),
        tools=frozenset(map(_tool, calls)),
    )


def _tool(call: dict[str, Any]) -> str:
    return f"{call['server']}/{call['tool']}"


def _applies(rule: PolicyRule, about: _About) -> bool:
    if rule.risks and about.risk not in rule.risks:
        return False
    if rule.kinds and about.kinds.isdisjoint(rule.kinds):
        return False
    return _any_fits(rule.paths, about.paths) and _any_fits(rule.tools, about.tools)


def _any_fits(globs: Sequence[str], names: Iterable[str]) -> bool:
    return not globs or any(matches(name, globs) for name in names)


def _asks_of_calls(rule: PolicyRule) -> bool:
    """Tell whether a rule asks for anything a call can be asked for."""
    asked = (rule.signatures_needed, rule.undo_seconds, rule.expires_hours)
    return any(asked) or bool(rule.signers.all())


def _set(rules: Sequence[PolicyRule], name: str) -> list[int]:
    return [value for rule in rules if (value := getattr(rule, name)) is not None]


def _everybody_named(rules: Iterable[PolicyRule], snapshot: dict[str, Any]) -> tuple[Named, ...]:
    barred = "" if snapshot["single_person"] else snapshot["requester"]["id"]
    return tuple(_named(rule, barred) for rule in rules if rule.signers.all())


def _named(rule: PolicyRule, barred: str) -> Named:
    people = _by_name(rule.signers.all())
    people.pop(barred, None)
    return Named(rule=rule.name, people=people)


def _by_name(people: Iterable[User]) -> dict[str, str]:
    by_name = sorted(people, key=lambda person: person.display_name)
    return {str(person.pk): person.display_name for person in by_name}
