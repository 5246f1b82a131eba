"""Who may sign a task, and how a page names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Q

from approvals import routing, standing_in
from approvals.requirements import Required
from projects.models import Role, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import QuerySet

    from agents.models import Task
    from approvals.origins import Marked
    from approvals.rights import Decidable
    from approvals.routing import Held
    from projects.across import Mine

_NAMED = 3
_OFFERED = 100
_SHOWN = ("username", "first_name", "last_name")


def of(task: Task) -> QuerySet[User]:
    """Return the first people who may sign this task."""
    leads = User.objects.filter(
        memberships__project=task.project_id, memberships__role=Role.LEAD, is_active=True
    )
    if not task.project.single_person:
        leads = leads.exclude(pk=task.requester_id)
    return leads.only(*_SHOWN).order_by("memberships__pk")[:_NAMED]


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


def one(people: Iterable[User]) -> str:
    """Name them where there is room for one."""
    names = named(people)
    return "a tech lead" if " or " in names else names


def may_sign(task: Task, user: User, mine: Mine) -> bool:
    """Tell whether this person is one of the signers."""
    other = user.pk != task.requester_id or task.project.single_person
    return other and task.project_id in mine.led


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


def asked(approval: Decidable, agreed: Sequence[Marked]) -> dict[str, Any]:
    """Return what the policy asks for, and whom of it these signatures, which agree, leave missing."""
    required = Required.now(approval)
    signed = {row.signer_id for row in agreed}
    stood_for = standing_in.persons(each for row in agreed for each in row.on_behalf_of)
    return {
        "required": required,
        "approvals_so_far": len(signed),
        "unnamed": required.unnamed({*signed, *stood_for}),
        "editors": list(required.not_alone.values()) if required.only_editors(signed) else [],
    }
