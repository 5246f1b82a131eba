"""What came of what was decided: merged, failed, or still to be carried out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from approvals import deadlines
from approvals.lifecycle import ApprovalState, EffectState
from approvals.models import Edit, Effect
from countersign.console import looks, sentences, signers
from projects import together

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from approvals.models import Approval

_CARRIED_OUT = looks.Look(word="Delivered", icon="check-check", tone="ok")
_APPROVED = {
    EffectState.PLANNED: "Approved",
    EffectState.FAILED: "Approved, but it failed",
    EffectState.UNKNOWN: "Approved, unclear if done",
}


@dataclass(frozen=True, kw_only=True)
class Over:
    """What was read of approvals that are over, by approval: the edit that ended it, and its effects."""

    edits: dict[uuid.UUID, Edit]
    effects: dict[uuid.UUID, list[Effect]]


def of_approvals(approvals: Sequence[Approval]) -> Over:
    """Read it in one statement; of most lists only effects are there."""
    keys = [each.pk for each in approvals]
    stale = [each.pk for each in approvals if each.state == ApprovalState.STALE]
    edits = Edit.objects.filter(approval__in=stale)
    found = together.read(
        {
            "edits": edits,
            "people": signers.people(edits.values("person")),
            "effects": deadlines.with_window(Effect.objects.filter(approval__in=keys)).order_by(
                "pk"
            ),
        }
    )
    people = {person.pk: person for person in found.rows("people")}
    effects: dict[uuid.UUID, list[Effect]] = {}
    for effect in found.rows("effects"):
        effects.setdefault(effect.approval_id, []).append(effect)
    for edit in found.rows("edits"):
        edit.person = people[edit.person_id]
    return Over(edits={edit.approval_id: edit for edit in found.rows("edits")}, effects=effects)


def look(approval: Approval, effects: Sequence[Effect]) -> looks.Look | None:
    """Return how it looks what came of an approval; nothing where no effect says more than its state."""
    if approval.state != ApprovalState.APPROVED or not effects:
        return None
    left = [effect for effect in effects if effect.state != EffectState.DONE]
    if left:
        of_state = looks.of_effect(left[0])
        return replace(of_state, word=_APPROVED.get(EffectState(left[0].state), of_state.word))
    commit = sentences.merged_as(effects[0])
    return replace(_CARRIED_OUT, word=f"Merged as {commit[:7]}") if commit else _CARRIED_OUT
