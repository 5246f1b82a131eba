"""What must be true when the task is done, and what of it our own checks have borne out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.lifecycle import StepState, Verdict
from countersign.console import looks
from countersign.console.checks import checks_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.models import Claim, Proposal, Step

_AHEAD = looks.Look(word="not begun", icon="circle-dashed", tone="muted")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line of "Done when"."""

    key: str
    text: str
    look: looks.Look
    agent: Any = None

    @property
    def verified(self) -> bool:
        """Tell whether our own code checked it and found it so."""
        return self.look.tone == "ok"


def goals_of(steps: Iterable[Step], proposal: Proposal | None) -> list[Goal]:
    """Return the acceptance of each step of the plan, and the project's checks at the end."""
    claims: dict[object, list[Claim]] = {}
    for claim in proposal.claims.all() if proposal else ():
        claims.setdefault(claim.step_id, []).append(claim)
    goals = [
        Goal(
            key=f"goal-{step.pk}",
            text=step.acceptance,
            look=_look(step, claims.get(step.pk, [])),
            agent=step.agent,
        )
        for step in steps
        if step.acceptance
    ]
    return [*goals, _checks(proposal)] if goals else []


def _look(step: Step, claims: list[Claim]) -> looks.Look:
    if step.state != StepState.DONE:
        return _not_done(step)
    wrong = [claim for claim in claims if claim.verdict == Verdict.CONTRADICTED]
    if wrong:
        return looks.Look(word=f"contradicted: {wrong[0].evidence}", icon="x", tone="bad")
    proven = sum(claim.verdict == Verdict.PROVEN for claim in claims)
    if claims and proven == len(claims):
        # Whether that is what the goal asks is for the reader: the agent chose what is checked.
        more = f", and {proven - 1} more" if proven > 1 else ""
        word = f"proven: {claims[0].evidence}{more}"
        return looks.Look(word=word, icon="circle-check", tone="ok")
    if claims:
        word = f"{proven} of {len(claims)} claims proven"
        return looks.Look(word=word, icon="circle-help", tone="warn")
    return looks.Look(word="done, not verified yet", icon="circle-dashed", tone="muted")


def _not_done(step: Step) -> looks.Look:
    if step.state in {StepState.WAITING, StepState.READY}:
        return _AHEAD
    look = looks.of_step(step)
    return looks.Look(word=look.word.lower(), icon=look.icon, tone=look.tone, spins=look.spins)


def _checks(proposal: Proposal | None) -> Goal:
    text = "The project's checks pass on the merged tree"
    look = _AHEAD
    if proposal and proposal.checks:
        found = checks_of(proposal.checks)
        icon = "circle-check" if found.tone == "ok" else found.icon
        look = looks.Look(word=found.word, icon=icon, tone=found.tone)
    return Goal(key="goal-checks", text=text, look=look)
