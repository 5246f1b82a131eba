"""Takes a repository and its people in: one project with its members, made or brought up to date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction

from projects import audit
from projects.exceptions import InvalidInput
from projects.models import Membership, Project, Role, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class Onboarding:
    """What is asked for; None leaves what an existing project has."""

    slug: str
    repository: str | None = None
    main_branch: str | None = None
    checks_command: str | None = None
    requesters: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()


def draft(asked: Onboarding) -> Project:
    """Return the project as it is to become, not saved; raises InvalidInput naming the field."""
    project = Project.objects.filter(slug=asked.slug).first() or Project(
        slug=asked.slug, name=asked.slug
    )
    if project.bundled:
        raise InvalidInput("slug", f"{asked.slug} is the bundled demo; choose another slug.")
    for field in ("repository", "main_branch", "checks_command"):
        if (value := getattr(asked, field)) is not None:
            setattr(project, field, value)
    if not project.repository:
        raise InvalidInput("repository", f"{asked.slug} is new: name its --repository.")
    try:
        project.full_clean(validate_unique=False)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(field, f"{field}: {messages[0]}") from error
    return project


@transaction.atomic
def add_project(asked: Onboarding, *, by: User | None) -> Project:
    """Save the project and the roles of its people; twice changes nothing."""
    project = draft(asked)
    roles = _roles(asked)
    created = project._state.adding
    project.save()
    for user, role in roles.items():
        Membership.objects.update_or_create(user=user, project=project, defaults={"role": role})
    audit.record(
        "project.created" if created else "project.changed",
        subject=project,
        actor=by,
        project=project,
        main_branch=project.main_branch,
        checks_command=project.checks_command,
        members={user.username: role for user, role in roles.items()},
    )
    return project


def _roles(asked: Onboarding) -> Mapping[User, Role]:
    if both := set(asked.requesters) & set(asked.leads):
        raise InvalidInput(
            "lead", f"{', '.join(sorted(both))}: a person has one role in a project, choose it."
        )
    people = _people([*asked.requesters, *asked.leads])
    return {
        **{people[name]: Role.REQUESTER for name in asked.requesters},
        **{people[name]: Role.LEAD for name in asked.leads},
    }


def _people(names: Iterable[str]) -> dict[str, User]:
    wanted = set(names)
    people = {user.username: user for user in User.objects.filter(username__in=wanted)}
    if missing := sorted(wanted - people.keys()):
        raise InvalidInput(
            "user",
            f"There is no user {', '.join(missing)}; make the account first, in the admin or with "
            "manage.py createsuperuser.",
        )
    return people
