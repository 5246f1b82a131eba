"""Who may do what in a project; asked where the change happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projects.exceptions import NotAllowed
from projects.models import Membership, Role

if TYPE_CHECKING:
    from projects.models import Project, User


def role_of(user: User, project: Project) -> Role | None:
    """Return the person's role in the project, None for strangers and disabled people."""
    if not user.is_active:
        return None
    role = (
        Membership.objects.filter(user=user, project=project).values_list("role", flat=True).first()
    )
    return Role(role) if role else None


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
