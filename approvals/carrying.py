"""Carries signatures over to the same change on a main that has moved in other files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Max
from django.db.models.functions import Now

from agents.events import Kind
from approvals import consequences, counting, origins, rights, signing
from approvals.deadlines import database_now
from approvals.holding import Difference, difference
from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.models import SEAL, Approval, Signature
from projects import audit
from projects.failpoints import failpoint
from projects.ids import uuid7

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from agents.models import Proposal
    from approvals.origins import Marked

# The worker that seals may not write signatures: the database copies one, and nothing but a copy.
_COPY = "SELECT carry_signature(%s, %s, %s)"


@dataclass(frozen=True, kw_only=True)
class Fallen:
    """An approval that is stale because main moved, and those who signed it and still may."""

    approval: Approval
    signatures: list[Signature]
    originals: tuple[Marked, ...] = ()  # the signature a person gave of each
    why: dict[str, str] | None = None  # it was asked again itself, and nobody has signed it since

    def sealed_with(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """Return what is sealed beside a snapshot of its task: what it follows, or why nothing."""
        if self.why is not None:
            return {"asked_again": self.why}
        sealed = self.approval.snapshot
        times = _times(sealed) + 1
        if differs := difference(sealed, snapshot) or self._spent(times):
            return {"asked_again": {"name": differs.name, "path": differs.path}}
        return {
            "follows": {
                "approval": str(self.approval.pk),
                "digest": self.approval.digest,
                "times": times,
                "signed_for": {
                    str(each.signer_id): _given_for(each, sealed) for each in self.signatures
                },
            }
        }

    def _spent(self, times: int) -> Difference | None:
        """Say why signatures do not hold although it is the same change."""
        if times > origins.MOST:
            return Difference(name="times")
        return None if self.signatures else Difference(name="signers")


@dataclass(frozen=True, kw_only=True)
class Held:
    """What was sealed anew, and the signatures of what it follows, which hold for it."""

    approval: Approval
    fallen: Fallen
    settles: bool  # it had been approved, and they are enough again


def fallen(proposals: Sequence[Proposal]) -> dict[uuid.UUID, Fallen]:
    """Return what these were signed as on an earlier main, by task; their tasks are locked.

    Only where nobody has decided otherwise since: it is the task's last approval.
    """
    again = {each.task_id: each for each in proposals if each.version > 1}
    if not again:
        return {}
    last = Approval.objects.filter(task__in=list(again)).defer(*SEAL)
    newest = last.order_by("task", "-pk").distinct("task")
    stale = [each.pk for each in newest if each.state == ApprovalState.STALE and each.main_moved]
    rows = Signature.objects.filter(approval__in=stale, verdict=SignatureVerdict.APPROVE)
    signed: dict[uuid.UUID, list[Signature]] = {}
    for row in rows.select_related("signer").order_by("at", "pk"):
        signed.setdefault(row.approval_id, []).append(row)
    found = Approval.objects.filter(pk__in=list(signed)).select_related("decided_by")
    carried = {each.task_id: _fallen(each, again[each.task_id], signed[each.pk]) for each in found}
    return carried | _asked_before(set(stale) - signed.keys())


def held(sealed: Sequence[Approval], found: Mapping[uuid.UUID, Fallen]) -> list[Held]:
    """Return which of these follow what was signed, and whether they are approved by that."""
    follow = [(each, found[each.task_id]) for each in sealed if each.follows_id is not None]
    return [
        Held(approval=each, fallen=before, settles=_settles(each, before))
        for each, before in follow
    ]


def carry(all_held: Sequence[Held]) -> None:
    """Write the copies; approve what had been approved, by the same person, and plan its effects.

    In the transaction that seals, after those who are still asked were told.
    """
    for each in all_held:
        _copy(each)
        failpoint("carry.copied")
        _tell(each)
        if each.settles:
            _approve(each)


def act(one: Held) -> audit.Act:
    """Return what the audit log says of it: nobody's act."""
    approval, before = one.approval, one.fallen.approval
    return audit.Act(
        action="approval.signatures_held",
        subject=approval,
        actor=None,
        project=approval.project,
        detail={
            "task": approval.task.label,
            "digest": approval.digest,
            "risk": approval.risk,
            "follows": str(before.pk),
            "followed_digest": before.digest,
            "signatures": [str(each.pk) for each in one.fallen.signatures],
            "given": [_given(each) for each in one.fallen.originals],
            "settles": one.settles,
        },
    )


def _given(original: Marked) -> dict[str, str]:
    return {
        "signature": str(original.pk),
        "signer": str(original.signer_id),
        "digest": original.digest,
        "at": original.at.isoformat(),
    }


def _fallen(approval: Approval, proposal: Proposal, signed: Sequence[Signature]) -> Fallen:
    approval.task, approval.project = proposal.task, proposal.task.project
    may = [each for each in signed if not rights.why_not(approval, each.signer)]
    now = database_now()
    given = [(each, origins.given(each)) for each in may]
    holds = [(each, original) for each, original in given if original and _holds(original, now)]
    return Fallen(
        approval=approval,
        signatures=[each for each, _ in holds],
        originals=tuple(original for _, original in holds),
    )


def _holds(original: Marked, now: datetime) -> bool:
    """Tell whether what somebody gave is genuine, and not older than what was signed could be.

    Else a main that moves would keep a signature for years.
    """
    return signing.is_marked(original) and original.approval.expires_at > now


def _asked_before(stale: Collection[uuid.UUID]) -> dict[uuid.UUID, Fallen]:
    """Return those nobody has signed that say why they were asked again; it goes on to be so."""
    rows = Approval.objects.filter(pk__in=stale, outline__has_key="asked_again").defer("snapshot")
    return {
        each.task_id: Fallen(approval=each, signatures=[], why=each.outline["asked_again"])
        for each in rows
    }


def _times(sealed: dict[str, Any]) -> int:
    return int(sealed.get("follows", {}).get("times", 0))


def _given_for(signature: Signature, sealed: dict[str, Any]) -> str:
    """Return the digest the person signed, however often it was carried since."""
    if signature.carried_from_id is None:
        return signature.digest
    return str(sealed["follows"]["signed_for"][str(signature.signer_id)])


def _settles(approval: Approval, before: Fallen) -> bool:
    counted = counting.of_these(approval, before.signatures)
    enough = not counted.missing(approval)
    return enough and before.approval.decided_by_id in counted.signers


def _copy(one: Held) -> None:
    with connection.cursor() as cursor:
        for each in one.fallen.signatures:
            cursor.execute(_COPY, [uuid7(), each.pk, one.approval.pk])


def _tell(one: Held) -> None:
    facts = {
        "approval": str(one.approval.pk),
        "follows": str(one.fallen.approval.pk),
        "signed": len(one.fallen.signatures),
        "needed": one.approval.snapshot["policy"]["signatures_needed"],
        "approved": one.settles,
    }
    one.approval.task.record(Kind.SIGNATURES_HELD, facts)


def _approve(one: Held) -> None:
    approval, before = one.approval, one.fallen.approval
    last = next(e for e in one.fallen.signatures if e.signer_id == before.decided_by_id)
    approval.move(
        ApprovalState.APPROVED, decided_at=Now(), decided_by=before.decided_by, reason=last.note
    )
    approval.refresh_from_db(fields=["decided_at"])
    transaction.on_commit(lambda: failpoint("carry.committed"))
    consequences.plan_effects(approval, due=_due(approval, before))


def _due(approval: Approval, before: Approval) -> datetime:
    """Return when the undo window ends that was opened by the signature, or now."""
    opened: datetime | None = before.effects.aggregate(end=Max("not_before"))["end"]
    now = approval.decided_at
    if now is None:
        raise ValueError("It was not decided.")
    return max(now, opened) if opened else now
