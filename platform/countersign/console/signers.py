"""Who may sign a task, and how a page names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q

from agents import takeovers
from approvals import counting, rights, routing
from approvals.requirements import Required
from projects.models import Role, User

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from django.db.models import QuerySet

    from agents.models import Task
    from approvals.counting import Counted
    from approvals.origins import Marked
    from approvals.rights import Decidable
    from approvals.routing import Held

_NAMED = 3
_OFFERED = 100
_SHOWN = ("username", "first_name", "last_name")


def of(task: Task, signatures: QuerySet[Any]) -> QuerySet[User]:
    """Return the tech leads of a task, first those of whom one of these signatures is, then by name.

    Each with whether they `signed`, and whether they `worked`: they asked for it or did a part, so they
    may sign it only where one person may do everything.
    """
    leads = User.objects.filter(
        memberships__project=task.project_id, memberships__role=Role.LEAD, is_active=True
    )
    worked = Q(pk=task.requester_id) | Q(pk__in=takeovers.by_whom(task.pk))
    rows = leads.annotate(
        signed=Exists(signatures.filter(signer=OuterRef("pk"))),
        worked=ExpressionWrapper(worked, output_field=BooleanField()),
    )
    by_name = rows.only(*_SHOWN).order_by("-signed", "first_name", "last_name", "username")
    return by_name[:_OFFERED]


def people(keys: Any) -> QuerySet[User]:
    """Return people as a page shows them: their password's hash stays where it is."""
    return named_by(Q(pk__in=keys))


def named_by(fits: Q) -> QuerySet[User]:
    """Return the people a condition fits, as a page shows them."""
    return User.objects.filter(fits).only(*_SHOWN)


def shown(people: QuerySet[User]) -> QuerySet[User]:
    """Return the first of many people as a list to choose from shows them."""
    return people.only(*_SHOWN)[:_OFFERED]


def named(people: Iterable[User]) -> str:
    """Name them."""
    names = [person.display_name for person in people]
    return " or ".join(names) if names else "a tech lead (none yet)"


def left_of(
    left: Sequence[User],
    required: Required | None,
    counted: Counted = counting.NOBODY,
    signed: Sequence[User] = (),
) -> str:
    """Name whom it waits for besides those counted: how many of who may sign and have not, who are
    all `left`, and whom a rule names; when nobody's is missing anybody, those who `signed` too."""
    so_far = len(counted.signers)
    more = required.signatures - so_far if required else 1
    rules = required.unnamed({*counted.signers, *counted.stood_for}) if required else []
    if rules and more <= len(rules):
        return " and ".join(" or ".join(each.people.values()) for each in rules)
    if more < 1:
        return _last(left, required, counted, signed)
    names = [person.display_name for person in left]
    if len(names) < more and (so_far or more > 1):
        return _too_few(names, more, so_far)
    if len(names) == more:
        return " and ".join(names)
    ruled = (f", one of them {' or '.join(each.people.values())}" for each in rules)
    return "".join([_some(left, more, so_far), *ruled])


def _last(
    left: Sequence[User], required: Required | None, counted: Counted, signed: Sequence[User]
) -> str:
    """Name who may end it where enough have signed: one who did not edit it, if only editors have;
    else anybody who may sign, since a right that was lost came back."""
    if required and not required.editors_alone and required.only_editors(counted.signers):
        others = [person for person in left if str(person.pk) not in required.not_alone]
        return _some(others, 1, 1) if others else _too_few([], 1, 1)
    anybody = sorted([*signed, *left], key=lambda person: person.display_name)
    return _some(anybody, 1, 0)


def _some(left: Sequence[User], more: int, so_far: int) -> str:
    if len(left) <= _NAMED:
        names = ", ".join(person.display_name for person in left)
        return f"{more} of {names}" if more > 1 else named(left)
    if more > 1:
        return f"{more} more tech leads" if so_far else f"{more} tech leads"
    return "one more tech lead" if so_far else "a tech lead"


def _too_few(names: Sequence[str], more: int, so_far: int) -> str:
    """Say that fewer than are needed may sign: somebody has to be made one who may."""
    further = " more" if so_far else ""
    asked = f"{more}{further} signatures" if more > 1 else "one more signature"
    who = f"only {' and '.join(names)}" if names else f"nobody{' else' if so_far else ''}"
    return f"{asked}; {who} may sign here"


def one(people: Sequence[User]) -> str:
    """Name them where there is room for one."""
    return "a tech lead" if len(people) > 1 else named(people)


def assignable(
    people: Sequence[User], held: Held | None, user: User, *, lead: bool
) -> dict[str, Any]:
    """Return who sees to something that waits, and to whom of these people it may be given."""
    return {
        "holder": held,
        "others": routing.others(people, user, held),
        "may_assign": lead,
        "may_take": any(person.pk == user.pk for person in people),
    }


def who_count(approval: Decidable, signed: QuerySet[Any]) -> QuerySet[User]:
    """Return who may sign of those who have, and of those a rule names, for whom somebody may have."""
    named = {key for each in Required.sealed(approval.snapshot).named for key in each.people}
    asked = Q(pk__in=signed.order_by().values("signer")) | Q(pk__in=named)
    return rights.who_may(approval).filter(asked).only("pk")


def tell_lapsed(signatures: Iterable[Any], may: Collection[UUID] | None) -> None:
    """Mark those that do not count any more, and the absent people they do not count for."""
    if may is None:
        return
    for row in signatures:
        row.lapsed = row.verdict in counting.AGREES and row.signer_id not in may
        for each in row.on_behalf_of:
            each["lapsed"] = UUID(each["person"]) not in may


def counted_of(agreed: Sequence[Marked], may: Collection[UUID] | None) -> Counted:
    """Count these signatures, which agree, when these people may sign; without them it is over, and
    all did."""
    return counting.all_of(agreed) if may is None else counting.among(agreed, may)


def asked(
    approval: Decidable,
    agreed: Sequence[Marked],
    may: Collection[UUID] | None,
    left: Sequence[User],
) -> dict[str, Any]:
    """Return what the policy asks for, and whom of it these signatures, which agree, leave missing;
    and what would be, if all who are `left` signed.

    They count when their people are among those who `may` sign; without these it is over, and all did.
    """
    required = Required.now(approval)
    counted = counted_of(agreed, may)
    return {
        "required": required,
        "approvals_so_far": len(counted.signers),
        "enough": not counted.missing(approval),
        "out_of_reach": counted.missing(approval, *(one.pk for one in left))
        if may is not None and len(left) < _OFFERED
        else [],
        "unnamed": required.unnamed({*counted.signers, *counted.stood_for}),
        "editors": required.not_alone.values() if required.only_editors(counted.signers) else [],
    }
