"""What the rules know of a tool call, and what they may say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

PLATFORM = "platform"  # the class of an error that is Countersign's own: no loop of the agent
NOT_GRANTED = "not granted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One ended tool call, as its ledger row has it."""

    id: str
    response: int  # index of the answer that asked for it
    tool: str
    fingerprint: str  # of tool and arguments
    result: str = ""  # fingerprint of what it gave
    error: str = ""  # its class, when it failed
    failed: bool = False
    writes: bool = False
    polling: bool = False  # asked again on purpose, e.g. whether something has ended
    tree: str = ""  # of the files after a write
    shown: str = ""  # the beginning of what the model was told

    @property
    def gave(self) -> tuple[str, str]:
        """What was asked and what came of it."""
        return self.fingerprint, self.result


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The calls that count, oldest first, and the files they began with."""

    calls: tuple[Call, ...] = ()
    base: str = ""  # a tree, or empty: not known

    @classmethod
    def of(cls, calls: list[Call] | tuple[Call, ...], base: str = "") -> History:
        """Keep what an agent answers for: not what broke in Countersign itself."""
        return cls(calls=tuple(call for call in calls if call.error != PLATFORM), base=base)

    def changes(self) -> Iterator[bool]:
        """Tell of each call whether it changed something: a write that leaves the files alone did not."""
        tree = self.base
        for call in self.calls:
            yield call.writes and not call.failed and (not call.tree or call.tree != tree)
            tree = call.tree or tree

    def since_change(self) -> tuple[Call, ...]:
        """Return the calls after the last one that changed something."""
        changed = [at for at, change in enumerate(self.changes()) if change]
        return self.calls[changed[-1] + 1 :] if changed else self.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """The model is told; it may still turn back."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """A person decides how to go on."""

    rule: str
    which: str  # the part of the rule, e.g. edit_revert
    detail: str  # what happened, as a sentence about the agent
    threshold: int
    observed: int
    calls: tuple[Call, ...]  # the evidence

    def evidence(self) -> dict[str, Any]:
        """Return what an escalation shows."""
        last = self.calls[-1].shown if self.calls else ""
        facts = {"which": self.which, "threshold": self.threshold, "observed": self.observed}
        return {**facts, "calls": [call.id for call in self.calls], "last_result": last}


Verdict = Warned | Tripped


def once_per_answer(calls: tuple[Call, ...], key: Callable[[Call], Hashable]) -> tuple[Call, ...]:
    """Count calls of one answer that are alike as one: they were one decision.

    After the multi-tool grouping of OpenHands' stuck detector.
    """
    kept: dict[Hashable, Call] = {}
    for call in calls:
        one = (call.response, key(call))
        kept.pop(one, None)  # it stands where it was made last
        kept[one] = call
    return tuple(kept.values())
