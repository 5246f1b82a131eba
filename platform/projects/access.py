"""Who may do what in a project; asked where the change happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projects.exceptions import NotAllowed
from projects.models import Membership, Role
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    from projects.models import Project, User


def role_of(user: User, project: Project) -> Role | None:
    """Return the person's role in the project, None for strangers and disabled people."""
    if not user.is_active:
        return None
    roles = _ROLES(user=[user.pk], project=[project.pk])
    return Role(roles[0]) if roles else None


_ROLES = Prepared(
    lambda: Membership.objects.filter(
        user__any=Given("user"), project__any=Given("project")
    ).values_list("role", flat=True)
)


def is_lead(user: User, project: Project) -> bool:
    """Tell whether the person may sign work in this project."""
    return role_of(user, project) == Role.LEAD


def require_member(user: User, project: Project) -> Role:
    """Return the person's role; raise NotAllowed for strangers."""
    role = role_of(user, project)
    if role is None:
        raise NotAllowed
    return role


def require_lead(user: User, project: Project) -> None:
    """Raise NotAllowed unless the person is a lead of the project."""
    if not is_lead(user, project):
        raise NotAllowed("Only a tech lead of this project can decide. Ask an admin for the role.")
