"""Who sees to what waits for a signature or a permission: claimed, assigned, given back; others may still decide."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, OuterRef, Q
from django.db.models.functions import Now

from agents import permitting, takeovers
from agents.clocks import Frozen
from agents.events import Kind
from approvals import acts, counting, policies, presence, rights
from approvals.exceptions import DecisionConflict
from approvals.lifecycle import ApprovalState, CallState
from approvals.models import (
    SEAL_OF_APPROVAL,
    Absence,
    Approval,
    Assignment,
    CallApproval,
    CallAssignment,
    CallSignature,
    CallSnooze,
    Edit,
    Risk,
    Signature,
    Snooze,
)
from approvals.requirements import Required
from projects import access, across
from projects.exceptions import InvalidInput, NotAllowed
from projects.models import Membership, Role

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from approvals.rights import Decidable
    from projects.models import User

    Held = Assignment | CallAssignment

OVER = "This does not wait for a signature any more, so nobody has to see to it."
CALL_OVER = "This call does not wait for permission any more, so nobody has to see to it."


def claim(approval: Decidable, *, by: User, address: str | None = None) -> Held:
    """Take an approval or a call to see to it; twice: nothing more happens.

    Locks the approval, then the task; of a call its step, then the task. Raises NotAllowed for those
    it does not wait for, and DecisionConflict when somebody else has it or it waits for nobody.
    """
    if refusal := rights.why_not(approval, by):
        raise NotAllowed(refusal)
    with waiting(approval):
        if _has_signed(approval, by):
            raise DecisionConflict("You have signed this already. It waits for another tech lead.")
        held = holder_of(approval)
        if held is None:
            return _give(approval, by, by=by, address=address)
        if held.holder_id != by.pk:
            raise DecisionConflict(
                f"{held.holder.display_name} has this since {held.at:%Y-%m-%d %H:%M} UTC. Nothing was "
                "changed; to take it over, assign it to yourself."
            )
    return held


def assign(
    approval: Decidable, to: uuid.UUID | str, *, by: User, address: str | None = None
) -> Held:
    """Let a tech lead see to an approval or a call, whoever had it before.

    Locks what `claim` does. Raises NotAllowed unless a tech lead does it, InvalidInput for
    somebody who may not sign it, DecisionConflict when it waits for nobody.
    """
    if not access.is_lead(by, approval.project):
        raise NotAllowed("Only a tech lead of this project can assign a review.")
    person = _lead(approval, to)
    _require_here(approval, person)
    with waiting(approval):
        if _has_signed(approval, person):
            raise InvalidInput("to", f"{person.display_name} has signed this already.")
        held = holder_of(approval)
        if held is not None and held.holder_id == person.pk:
            return held
        return _give(approval, person, by=by, address=address)


def release(approval: Decidable, *, by: User, address: str | None = None) -> bool:
    """Give an approval or a call back; return whether this person had it."""
    with transaction.atomic():
        given_back = bool(approval.assignments.filter(holder=by).delete()[0])
        if given_back:
            acts.record("released", approval, by, address)
    return given_back


def holder_of(approval: Decidable) -> Held | None:
    """Return who sees to it, if anybody does."""
    return approval.assignments.select_related("holder").first()


@contextmanager
def waiting(approval: Decidable) -> Iterator[None]:
    """Hold what a decision changes, as it does: what is held was not decided a moment before.

    For one transaction; raises DecisionConflict when it waits for nobody.
    """
    if isinstance(approval, CallApproval):
        with permitting.held(approval.call_id):
            calls = CallApproval.objects.filter(pk=approval.pk, state=CallState.PENDING, free=False)
            if not calls.exists():
                raise DecisionConflict(CALL_OVER)
            yield
        return
    with transaction.atomic():
        pending = Approval.objects.filter(pk=approval.pk, state=ApprovalState.PENDING)
        if not pending.select_for_update(no_key=True).only("pk").exists():
            raise DecisionConflict(OVER)
        yield


def others_hold(person: uuid.UUID) -> Q:
    """Return the condition on approvals that somebody else sees to them, as `others_hold_calls` on calls.

    Asked of each row: few have a holder, while a list of all who hold is read before the first row.
    """
    return _others_hold(Assignment, Snooze, Signature, person)


def others_hold_calls(person: uuid.UUID) -> Q:
    """Return the condition on calls that somebody else sees to them."""
    return _others_hold(CallAssignment, CallSnooze, CallSignature, person)


def _others_hold(
    assignments: type[Any], snoozes: type[Any], signatures: type[Any], person: uuid.UUID
) -> Q:
    """Return what somebody else sees to: this person is not asked before half of its time is over.

    Nothing of who is away, has put it off, has signed or may not sign here any more: nobody would be
    asked.
    """
    leads = Membership.objects.filter(
        project=OuterRef("project"), user=OuterRef("holder"), role=Role.LEAD, user__is_active=True
    )
    off = snoozes.objects.filter(
        approval=OuterRef("approval"), person=OuterRef("holder"), until__gt=Now()
    )
    # As with reminders the time of a hold does not count; it is added up for few.
    held = Frozen(
        task=F("approval__task_id"), project=F("project_id"), since=F("approval__requested_at")
    )
    alone = Q(alone_until__gt=Now()) | Q(alone_until__gt=Now() - held)
    theirs = assignments.objects.filter(alone, approval=OuterRef("pk"), alone_until__isnull=False)
    # Who has done a part of it since; or asked for it, where one person may do everything no more.
    did = takeovers.by_whom(OuterRef("approval__task")).filter(resolved_by=OuterRef("holder"))
    alone_may = Q(approval__single_person=True, project__single_person=True)
    may = alone_may | (~across.of_each(did) & ~Q(holder=F("approval__requester")))
    # Who has signed is asked no more, though a signature that was lost since keeps it waiting.
    agreed = counting.agreeing(signatures.objects.all())
    signed = agreed.filter(approval=OuterRef("approval"), signer=OuterRef("holder"))
    # Not joined: there is a holder of few.
    asked = across.of_each(leads) & ~across.of_each(off) & ~across.of_each(signed)
    there = theirs.filter(may, asked).exclude(holder=person)
    return across.of_each(there.exclude(holder__in=Absence.objects.now().values("person")))


def candidates(approval: Decidable) -> QuerySet[User]:
    """Return the tech leads who may sign an approval, or allow a call, and have not, by name."""
    signed: QuerySet[Any] = approval.signatures.all()
    found = rights.who_may(approval).exclude(pk__in=signed.values("signer"))
    return found.order_by("first_name", "last_name", "username")


def may_sign_edited(approval: Approval, by: User) -> bool:
    """Tell whether somebody could sign what this person edits, while its risk stays as it is."""
    return approval.risk == Risk.LOW or may_sign_raised(approval, by)


def may_sign_raised(approval: Approval, by: User) -> bool:
    """Tell whether somebody could sign what this person edits at more than low risk: another than
    all who have edited it, unless the policy in force, or one person who may do everything, asks for
    nobody else."""
    if rights.one_person(approval):
        return True
    if policies.read_active(approval.project).editors_alone:
        return True
    edits = Edit.objects.filter(approval__task=approval.task_id)
    others = rights.who_may(approval).exclude(pk=by.pk).exclude(pk__in=edits.values("person"))
    return others.exists()


def others(people: Iterable[User], user: User, held: Held | None) -> list[User]:
    """Leave out the person who asks and who has it: nothing would change."""
    known = {user.pk, held.holder_id if held else None}
    return [person for person in people if person.pk not in known]


def carry_over(sealed: Sequence[Approval], now: datetime) -> None:
    """Let those who saw to what was merged onto main again meanwhile see to it still.

    In the transaction that seals it; `sealed` come with their proposals.
    """
    again = {each.task_id: each for each in sealed if each.proposal.version > 1}
    if not again:
        return
    rows = []
    held = Assignment.objects.filter(approval__task__in=list(again))
    for old in held.select_related("approval__proposal").defer(*SEAL_OF_APPROVAL):
        new, before = again[old.approval.task_id], old.approval.proposal
        if (before.round, before.version + 1) == (new.proposal.round, new.proposal.version):
            facts = _facts(new, old.holder_id, by=old.by_id, since=now, signed=())
            rows.append(Assignment(approval=new, at=old.at, **facts))
    Assignment.objects.bulk_create(rows, ignore_conflicts=True)


def _give(approval: Decidable, to: User, *, by: User, address: str | None) -> Held:
    approval.assignments.all().delete()
    signed = counting.of(approval).signers
    given = _facts(approval, to.pk, by=by.pk, since=approval.requested_at, signed=signed)
    model: type[Any] = approval.assignments.model
    row: Held = model(approval=approval, **given)
    row.save(force_insert=True)
    row.holder = to
    facts = {"approval": str(approval.pk), "to": str(to.pk), "by": by.display_name}
    if isinstance(approval, CallApproval):
        facts["tool"] = approval.snapshot["call"]["tool"]
    approval.task.record(Kind.APPROVAL_ASSIGNED, facts)
    acts.record("claimed" if to == by else "assigned", approval, by, address, to=to.username)
    return row


def _facts(
    approval: Decidable,
    holder: uuid.UUID,
    *,
    by: uuid.UUID,
    since: datetime,
    signed: Iterable[uuid.UUID],
) -> dict[str, Any]:
    last_one = not Required.now(approval).missing({*signed, holder})
    half = since + (approval.expires_at - since) / 2
    return {
        "project_id": approval.project_id,
        "holder_id": holder,
        "by_id": by,
        "alone_until": half if last_one else None,
    }


def _lead(approval: Decidable, key: uuid.UUID | str) -> User:
    found = next((one for one in candidates(approval) if str(one.pk) == str(key)), None)
    if found is None:
        raise InvalidInput(
            "to", "Choose a tech lead of this project who may sign this and has not."
        )
    return found


def _require_here(approval: Decidable, person: User) -> None:
    """Raise InvalidInput, which proposes their delegate, for somebody who is out of office."""
    if (absence := presence.away(person)) is None:
        return
    until = f"{person.display_name} is out of office until {absence.ends_at:%Y-%m-%d %H:%M} UTC"
    other = presence.stand_in(person, approval.project_id)
    says = f"{other.display_name} stands in." if other else "Choose somebody else."
    raise InvalidInput("to", f"{until}. {says}")


def _has_signed(approval: Decidable, person: User) -> bool:
    return approval.signatures.filter(signer=person).exists()
