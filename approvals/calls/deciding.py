"""The one way a person decides on a call: page and API both end here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from agents import permitting
from agents.events import Kind
from approvals import confirming, counting, deadlines, signing, standing_in
from approvals.calls import arguments
from approvals.calls.exceptions import CallMismatch, CallOver, UnknownCall
from approvals.calls.sealing import covered, facts_of
from approvals.decisions import MAX_NOTE
from approvals.exceptions import NotAllowed
from approvals.lifecycle import CallState, CallVerdict
from approvals.models import CallApproval, CallReminder, CallSignature
from approvals.requirements import Required
from approvals.rights import why_not
from approvals.standing import granting
from projects import audit
from projects.characters import says_nothing
from projects.exceptions import InvalidInput, TransitionRefused

if TYPE_CHECKING:
    import uuid

    from django.db.models import QuerySet

    from agents.permitting import Held
    from approvals.standing.granting import Asked, Terms
    from projects.models import User

_SAID = {
    CallState.REFUSED: "{who} refused this at {when}. Your decision changed nothing.",
    CallState.EXPIRED: "The time to decide is over. Nothing was called, and the agent was told so.",
    CallState.WITHDRAWN: "This was withdrawn: {reason} Your decision changed nothing.",
}
_STOPPED = "Its step was stopped meanwhile. Nothing was called."
_SIGNED = (
    "You have allowed this already. It still waits for others to allow it; until then you may still "
    "refuse it."
)
_AS_ALLOWED = (
    "{who} allowed this with the arguments it has now, so they stay. Nothing was decided: allow it with "
    "them, or refuse it and say what should be different."
)
_ALLOWED = "{who} allowed this at {when}. Your decision changed nothing."


@dataclass(frozen=True, kw_only=True)
class _Decision:
    """A checked decision."""

    verdict: CallVerdict
    note: str
    seen: str  # the arguments another signer put in place of the agent's, or empty
    edited: str  # those it is made with now, unless they are the agent's
    by: User
    address: str | None
    terms: Terms | None  # of the standing grant that is made with it

    @property
    def allows(self) -> bool:
        """Whether it is a permission."""
        return self.verdict == CallVerdict.ALLOW


def decide(
    call_id: uuid.UUID | str,
    *,
    by: User,
    verdict: str,
    digest: str,
    nonce: str,
    note: str = "",
    edited: str = "",
    remember: Asked | None = None,
    confirmation: str = "",
    address: str | None = None,
    via: str = "session",
) -> CallSignature:
    """Allow or refuse one call; with `edited` it is made with these arguments, as JSON text.

    With `remember` a standing grant is made as well, or nothing is decided. It is made once as many
    have allowed it as its sealed policy asks for, all of them the same arguments. To allow it, however,
    takes its task's label as `confirmation` where that policy asks for it.
    Locks the step, then the task. Raises UnknownCall (404), NotAllowed (403), CallOver (409),
    CallMismatch (422), InvalidInput (400), and CannotSign (503) in a process that has no key.
    Of several people deciding at once exactly one wins; a lost race changes nothing. Who has allowed
    it may do so again where the permissions that count have become enough since: theirs is returned; and
    may refuse it while it waits for others.
    """
    signing.require_key()
    approval = find(call_id, by)
    if refusal := why_not(approval, by, via=via):
        raise NotAllowed(refusal)
    allows = verdict == CallVerdict.ALLOW
    _require_undecided(approval, by, digest=digest, nonce=nonce, allows=allows)
    terms = _terms(approval, by, verdict, edited, remember)
    decision = _checked(approval, verdict, note, edited, terms, by=by, address=address)
    if allows:
        confirming.require_typed(approval, confirmation)
    with permitting.held(approval.call_id) as held:
        return _write(held, approval, decision)


def find(call_id: uuid.UUID | str, by: User) -> CallApproval:
    """Return a call this person may see; raises UnknownCall."""
    rows = CallApproval.objects.visible_to(by).select_related(
        *("project", "task__requester", "requester", "step__agent", "decided_by", "call"),
        *("standing_use", "remembered_as"),
    )
    found = rows.filter(pk=call_id, free=False).first()
    if found is None:
        raise UnknownCall
    found.task.project = found.project
    return found


def waits(approval: CallApproval) -> bool:
    """Tell whether it can be decided still, as the database says now."""
    return _waiting(approval).exists()


def _waiting(approval: CallApproval) -> QuerySet[CallApproval]:
    return CallApproval.objects.filter(pk=approval.pk, state=CallState.PENDING, **_in_time())


def _require_undecided(
    approval: CallApproval, by: User, *, digest: str, nonce: str, allows: bool
) -> None:
    """Refuse early and in words; the conditional UPDATE is what counts."""
    if not waits(approval):
        raise _over(approval)
    # Who changed the arguments as they allowed it has a page with others, and is told of the former.
    if allows:
        _require_unsigned(approval, by)
    # What was sent may hold what PostgreSQL cannot: it is compared here first.
    if (digest, nonce) != (covered(approval), approval.nonce):
        raise CallMismatch


def _require_unsigned(approval: CallApproval, by: User) -> None:
    if not _given(approval, by) or not counting.of(approval).missing(approval):
        return
    raise CallOver(_SIGNED) if waits(approval) else _over(approval)


def _given(approval: CallApproval, by: User) -> CallSignature | None:
    """Return the permission this person has given, if any."""
    return approval.signatures.filter(signer=by, verdict=CallVerdict.ALLOW).first()


def _in_time() -> dict[str, Any]:
    return {"expires_at__gt": deadlines.deciding_now(CallReminder)}


def _over(approval: CallApproval) -> CallOver:
    fresh = CallApproval.objects.select_related("decided_by").get(pk=approval.pk)
    state = CallState.EXPIRED if fresh.state == CallState.PENDING else CallState(fresh.state)
    who = fresh.decided_by.display_name if fresh.decided_by else "Somebody"
    when = f"{fresh.decided_at:%Y-%m-%d %H:%M} UTC" if fresh.decided_at else ""
    return CallOver(_SAID.get(state, _ALLOWED).format(who=who, when=when, reason=fresh.reason))


def _checked(
    approval: CallApproval,
    verdict: str,
    note: str,
    edited: str,
    terms: Terms | None,
    *,
    by: User,
    address: str | None,
) -> _Decision:
    if verdict not in CallVerdict.values:
        raise InvalidInput("verdict", f"Use one of {', '.join(CallVerdict.values)}.")
    if len(note) > MAX_NOTE or "\0" in note or any("\ud800" <= c <= "\udfff" for c in note):
        raise InvalidInput("note", f"A note is plain text of at most {MAX_NOTE:,} characters.")
    refuses = verdict == CallVerdict.REFUSE
    if refuses and says_nothing(note):
        raise InvalidInput("note", "Say why you refuse it; the agent is told.")
    if refuses and edited:
        raise InvalidInput("arguments", "Only a call that is allowed takes other arguments.")
    return _Decision(
        verdict=CallVerdict(verdict),
        note=note.strip(),
        seen=approval.edited,
        edited=_edited(approval, edited),
        by=by,
        address=address,
        terms=terms,
    )


def _terms(
    approval: CallApproval, by: User, verdict: str, edited: str, remember: Asked | None
) -> Terms | None:
    if remember is None:
        return None
    if verdict != CallVerdict.ALLOW or edited or approval.edited:
        raise InvalidInput(
            "remember", "Only a call that is allowed as the agent asked for it can be remembered."
        )
    return granting.terms_of(approval, by, remember)


def _edited(approval: CallApproval, text: str) -> str:
    if not text:
        return approval.edited
    given = arguments.read(text, json.loads(approval.snapshot["tool"]["schema"]))
    return "" if given == approval.snapshot["arguments"] else given


def _write(held: Held, approval: CallApproval, decision: _Decision) -> CallSignature:
    if not held.waits:
        raise CallOver(_STOPPED)
    if decision.allows:  # in another tab; the step is locked, so it counts
        _require_unsigned(approval, decision.by)
    given = _given(approval, decision.by) if decision.allows else None
    stood: standing_in.Stood = []
    settles = not decision.allows
    if not settles:
        stood = [] if given else standing_in.for_whom(approval, decision.by)
        settles = _completes(approval, decision, stood)
    if settles:
        _settle(approval, decision)
    else:
        _keep(approval, decision)
    signature = given or _signed(approval, decision, stood)
    _go_on(held, approval, decision, settles=settles)
    if decision.terms is not None:
        granting.make(approval, decision.terms, by=decision.by, address=decision.address)
    audit.record(
        f"call.{decision.verdict}",
        subject=approval,
        actor=decision.by,
        project=approval.project,
        address=decision.address,
        task=held.task.label,
        digest=signature.digest,
        signature=str(signature.pk),
        edited=bool(approval.edited),
        single_person=approval.single_person,
        settles=settles,
        **({"typed": True} if decision.allows and confirming.is_asked(approval) else {}),
        **({"on_behalf_of": stood} if stood else {}),
    )
    return signature


def _completes(approval: CallApproval, decision: _Decision, stood: standing_in.Stood) -> bool:
    """Tell whether this permission, with those it stands in for, is the last one needed.

    The step is locked, so nobody else signs meanwhile. Those of people who may not decide any more
    do not count, but the arguments they allowed stay.
    """
    rows = list(approval.signatures.select_related("signer").order_by("id"))
    if rows and decision.edited != decision.seen:
        raise InvalidInput("arguments", _AS_ALLOWED.format(who=rows[0].signer.display_name))
    counted = counting.of_these(approval, rows)
    return not counted.missing(approval, decision.by.pk, stood=stood)


def _guard(approval: CallApproval, decision: _Decision) -> dict[str, Any]:
    seal = {"digest": approval.digest, "nonce": approval.nonce, "edited": decision.seen}
    return seal | _in_time()


def _settle(approval: CallApproval, decision: _Decision) -> None:
    try:
        approval.move(
            CallState.ALLOWED if decision.allows else CallState.REFUSED,
            guard=_guard(approval, decision),
            decided_at=Now(),
            decided_by=decision.by,
            reason=decision.note,
            edited=decision.edited,
        )
    except TransitionRefused as error:
        raise _changed(approval, decision) from error


def _keep(approval: CallApproval, decision: _Decision) -> None:
    """Keep the arguments that were allowed; the call waits on for others."""
    guard = {"state": CallState.PENDING, **_guard(approval, decision)}
    if not CallApproval.objects.filter(pk=approval.pk, **guard).update(edited=decision.edited):
        raise _changed(approval, decision)
    approval.edited = decision.edited


def _changed(approval: CallApproval, decision: _Decision) -> CallOver | CallMismatch:
    """Return why the row is not the one that was looked at any more."""
    others = _waiting(approval).exclude(edited=decision.seen)
    return CallMismatch() if others.exists() else _over(approval)


def _go_on(held: Held, approval: CallApproval, decision: _Decision, *, settles: bool) -> None:
    facts = {**facts_of(approval), "by": decision.by.display_name, "note": decision.note}
    if not settles:
        told_so_far = {"verdict": str(decision.verdict), **_count(approval)}
        held.task.record(Kind.APPROVAL_SIGNED, {**facts, **told_so_far}, step=held.step)
    elif decision.allows:
        permitting.permit(held, {**facts, "edited": bool(approval.edited)})
    else:
        permitting.decline(held, facts, told(decision.by, decision.note))


def _count(approval: CallApproval) -> dict[str, Any]:
    required = Required.sealed(approval.snapshot)
    return {**counting.of(approval).told, "needed": required.signatures}


def told(by: User, note: str) -> str:
    """Return what the model is told of a refusal."""
    return f"{by.display_name} refused this call; nothing was called. Their reason: {note}"


def _signed(approval: CallApproval, decision: _Decision, stood: standing_in.Stood) -> CallSignature:
    signature = CallSignature(
        approval=approval,
        signer=decision.by,
        requester=approval.requester,
        single_person=approval.single_person,
        verdict=decision.verdict,
        digest=covered(approval),
        nonce=approval.nonce,
        note=decision.note,
        address=decision.address,
        on_behalf_of=stood,
    )
    signing.mark(signature)
    signature.save(force_insert=True)
    return signature
