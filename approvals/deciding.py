"""The one way a person decides: page, API and bulk all end here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from agents.events import Kind
from approvals import (
    confirming,
    consequences,
    counting,
    deadlines,
    freshness,
    signing,
    standing_in,
    viewing,
)
from approvals.decisions import Decision, HunkDecision, LineComment
from approvals.exceptions import (
    AlreadyDecided,
    ApprovalExpired,
    DecisionConflict,
    DigestMismatch,
    NotAllowed,
    StaleApproval,
    UnknownApproval,
)
from approvals.lifecycle import ApprovalState, SignatureVerdict
from approvals.models import Approval, Signature
from approvals.requirements import Required
from approvals.rights import why_not
from projects import audit
from projects.exceptions import TransitionRefused
from projects.failpoints import failpoint

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from projects.models import User

__all__ = [
    "AlreadyDecided",
    "ApprovalExpired",
    "DecisionConflict",
    "DigestMismatch",
    "HunkDecision",
    "NotAllowed",
    "StaleApproval",
    "UnknownApproval",
    "decide",
    "why_not",
]

SIGNED = (
    "You have signed this already. It waits for another tech lead; until then you may still request "
    "changes or reject it."
)
STATE_OF = {
    SignatureVerdict.APPROVE: ApprovalState.APPROVED,
    SignatureVerdict.REQUEST_CHANGES: ApprovalState.CHANGES_REQUESTED,
    SignatureVerdict.REJECT: ApprovalState.REJECTED,
}


def decide(
    approval_id: uuid.UUID | str,
    *,
    by: User,
    verdict: str,
    digest: str,
    nonce: str,
    note: str = "",
    hunks: Sequence[HunkDecision] = (),
    comments: Sequence[LineComment] = (),
    agents: Sequence[str] = (),
    lesson: str = "",
    keep_lesson: bool = False,
    confirmation: str = "",
    address: str | None = None,
    via: str = "session",
    together: int | None = None,
) -> Signature:
    """Sign an approval and carry the verdict's consequences, all in one transaction.

    Raises UnknownApproval (404), NotAllowed (403), AlreadyDecided, StaleApproval or ApprovalExpired
    (409), DigestMismatch or NoSuchLine (422), InvalidInput (400), RoundsExhausted, CannotSign (503). Of
    several at once exactly one wins; a lost race changes nothing. Who approved may end what waits for
    others, or approve again once enough signatures count: theirs is returned.
    """
    decision = Decision(
        verdict=verdict,
        note=note,
        hunks=tuple(replace(hunk, id=str(hunk.id)) for hunk in hunks),
        comments=tuple(comments),
        agents=tuple(agents),
        lesson=lesson,
        keep_lesson=keep_lesson,
        address=address,
        together=together,
        confirmation=confirmation,
    )
    signing.require_key()
    approval = _find(approval_id, by)
    if refusal := why_not(approval, by, via=via):
        raise NotAllowed(refusal)
    _require_undecided(approval, by, digest=digest, nonce=nonce)
    if verdict == SignatureVerdict.APPROVE:
        _require_approvable(approval, decision, by=by)
    guard = {"digest": digest, "nonce": nonce, "expires_at__gt": deadlines.deciding_now()}
    with transaction.atomic():
        signature = _sign(approval, decision, by=by, guard=guard)
    failpoint("decide.committed")
    return signature


def explain(approval: Approval, *, digest: str, nonce: str) -> TransitionRefused | DigestMismatch:
    """Return the error that says why this approval cannot be signed with digest and nonce."""
    overdue = Q(expires_at__lte=deadlines.deciding_now())
    now = deadlines.with_deadline(Approval.objects.annotate(over=overdue))
    fresh = now.select_related("decided_by").get(pk=approval.pk)
    when = f"{fresh.decided_at:%Y-%m-%d %H:%M} UTC" if fresh.decided_at else ""
    who = fresh.decided_by.display_name if fresh.decided_by else ""
    said = {
        ApprovalState.APPROVED: f"{who} approved this at {when}. Your decision changed nothing.",
        ApprovalState.CHANGES_REQUESTED: f"{who} sent this back at {when}. Open the next round.",
        ApprovalState.REJECTED: f"{who} rejected this at {when}. Your decision changed nothing.",
        ApprovalState.WITHDRAWN: f"This was withdrawn at {when}. {fresh.reason}".strip(),
    }
    if fresh.state in said:
        return AlreadyDecided(said[ApprovalState(fresh.state)])
    if fresh.state == ApprovalState.STALE:
        return StaleApproval(fresh.reason)
    if fresh.state == ApprovalState.EXPIRED or fresh.over:
        return ApprovalExpired(
            f"The time to decide ended at {fresh.until:%Y-%m-%d %H:%M} UTC. "
            "Nothing was merged; ask for the decision again."
        )
    if (fresh.digest, fresh.nonce) != (digest, nonce):
        return _mismatch(fresh, digest)
    return DecisionConflict()


def _find(approval_id: uuid.UUID | str, by: User) -> Approval:
    found = (
        Approval.objects.visible_to(by)
        .select_related("project", "task__requester", "policy", "requester")
        .filter(pk=approval_id)
        .first()
    )
    if found is None:
        raise UnknownApproval
    found.task.project = found.project
    return found


def _require_undecided(approval: Approval, by: User, *, digest: str, nonce: str) -> None:
    """Refuse early and in words; the conditional UPDATE is what counts."""
    # What was sent may hold what PostgreSQL cannot: it is compared here first.
    seen = (digest, nonce) == (approval.digest, approval.nonce)
    in_time = {"expires_at__gt": deadlines.deciding_now()}
    waits = Approval.objects.filter(pk=approval.pk, state=ApprovalState.PENDING, **in_time)
    if not seen or not waits.exists():
        raise explain(approval, digest=digest, nonce=nonce)


def _require_approvable(approval: Approval, decision: Decision, *, by: User) -> None:
    """Refuse to approve what was not looked at, or not typed, as its policy asks, or is stale."""
    _require_missing(approval, by)
    if Required.sealed(approval.snapshot).every_file:
        viewing.require_all(approval, by=by)
    confirming.require_typed(approval, decision.confirmation)
    freshness.require_unmoved_main(approval, by=by, address=decision.address)


def _require_missing(approval: Approval, by: User) -> None:
    """Raise AlreadyDecided for who has approved it, unless nobody else's signature is missing."""
    if _given(approval, by) and counting.of(approval).missing(approval):
        raise AlreadyDecided(SIGNED)


def _given(approval: Approval, by: User) -> Signature | None:
    """Return the approving signature this person has given, if any."""
    return approval.signatures.filter(signer=by, verdict=SignatureVerdict.APPROVE).first()


def _mismatch(approval: Approval, digest: str) -> TransitionRefused | DigestMismatch:
    others = Approval.objects.filter(task=approval.task_id).exclude(pk=approval.pk)
    if digest in others.values_list("digest", flat=True):
        return StaleApproval(
            "You looked at an earlier version of this proposal. Nothing changed; open the new one."
        )
    return DigestMismatch()


def _sign(approval: Approval, decision: Decision, *, by: User, guard: dict[str, Any]) -> Signature:
    task = approval.task
    given: Signature | None = None
    stood: standing_in.Stood = []
    settles = decision.verdict != SignatureVerdict.APPROVE
    if not settles:
        _hold(approval, guard)
        given = _given(approval, by)
        stood = [] if given else standing_in.for_whom(approval, by)
        settles = _completes(approval, by, stood)
    if given is not None and not settles:
        raise AlreadyDecided(SIGNED)
    if settles:
        _settle(approval, decision, by=by, guard=guard)
    signature = given or _write(approval, decision, by=by, stood=stood)
    facts = {"approval": str(approval.pk), "verdict": decision.verdict, "by": by.display_name}
    if given is None:
        task.record(Kind.APPROVAL_SIGNED, {**facts, **_count(approval)})
    if settles:
        # Who approves again signs nothing: which signatures count by now is told here.
        recounted = _count(approval) if given is not None else {}
        task.record(Kind.APPROVAL_DECIDED, {**facts, "state": approval.state, **recounted})
    consequences.follow(approval, decision, by=by, settles=settles)
    audit.record(
        f"approval.{decision.verdict}",
        subject=approval,
        actor=by,
        project=approval.project,
        address=decision.address,
        task=task.label,
        digest=approval.digest,
        signature=str(signature.pk),
        single_person=approval.single_person,
        settles=settles,
        **({"on_behalf_of": stood} if stood else {}),
        **({"together": decision.together} if decision.together else {}),
        **_typed(approval, decision),
    )
    failpoint("decide.written")
    return signature


def _typed(approval: Approval, decision: Decision) -> dict[str, Any]:
    approves = decision.verdict == SignatureVerdict.APPROVE
    return {"typed": True} if approves and confirming.is_asked(approval) else {}


def _write(
    approval: Approval, decision: Decision, *, by: User, stood: standing_in.Stood
) -> Signature:
    signature = Signature(
        approval=approval,
        signer=by,
        requester=approval.requester,
        single_person=approval.single_person,
        verdict=decision.verdict,
        digest=approval.digest,
        nonce=approval.nonce,
        note=decision.note,
        address=decision.address,
        every_file_viewed=not viewing.left_for(by, approval),
        on_behalf_of=stood,
    )
    signing.mark(signature)
    try:
        with transaction.atomic():
            signature.save(force_insert=True)
    except IntegrityError as error:
        if decision.verdict == SignatureVerdict.APPROVE and _given(approval, by):
            raise AlreadyDecided(SIGNED) from error
        raise
    return signature


def _settle(approval: Approval, decision: Decision, *, by: User, guard: dict[str, Any]) -> None:
    try:
        approval.move(
            STATE_OF[SignatureVerdict(decision.verdict)],
            guard=guard,
            decided_at=Now(),
            decided_by=by,
            reason=decision.note,
        )
    except TransitionRefused as error:
        raise explain(approval, digest=guard["digest"], nonce=guard["nonce"]) from error
    approval.refresh_from_db(fields=["decided_at"])


def _hold(approval: Approval, guard: dict[str, Any]) -> None:
    """Hold the approval's row by the same conditional UPDATE, so that two last-but-one signers at
    once do not both believe another one is missing."""
    held = Approval.objects.filter(pk=approval.pk, state=ApprovalState.PENDING, **guard)
    if not held.update(reason=F("reason")):
        raise explain(approval, digest=guard["digest"], nonce=guard["nonce"])


def _completes(approval: Approval, by: User, stood: standing_in.Stood) -> bool:
    """Tell whether this approving signature, with those it stands in for, is the last one needed.

    Those of people who may not sign any more do not count: it waits for others instead.
    """
    return not counting.of(approval).missing(approval, by.pk, stood=stood)


def _count(approval: Approval) -> dict[str, Any]:
    needed = approval.snapshot["policy"]["signatures_needed"]
    return {**counting.of(approval).told, "needed": needed}
