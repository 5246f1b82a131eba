"""The policy in force in a project; a change of it is a new version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from approvals.models import Policy
from projects import audit
from projects.models import Project
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from projects.models import User

MONEY_PATHS = ["**/billing/**", "**/payment*/**", "**/invoice*", "**/price*", "**/ledger*"]
PROTECTED_PATHS = [
    ".github/**",
    ".gitlab-ci.yml",
    ".circleci/**",
    "**/Jenkinsfile",
    "**/CODEOWNERS",
]
RULES = ("signatures_needed", "undo_seconds", "expires_hours", "money_paths", "protected_paths")


def active_policy(project: Project) -> Policy:
    """Return the policy in force, making version 1 with safe defaults when there is none."""
    found = Policy.objects.filter(project=project, active=True).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return Policy.objects.create(
                project=project,
                version=_next_version(project),
                money_paths=MONEY_PATHS,
                protected_paths=PROTECTED_PATHS,
            )
    except IntegrityError:  # another process made it between our look and our insert
        return Policy.objects.get(project=project, active=True)


def active_policies(projects: Iterable[Project]) -> dict[uuid.UUID, Policy]:
    """Return the policy in force in each project, by project, as `active_policy` does."""
    wanted = {project.pk: project for project in projects}
    found = {each.project_id: each for each in _ACTIVE(projects=list(wanted))}
    return {pk: found.get(pk) or active_policy(project) for pk, project in wanted.items()}


_ACTIVE = Prepared(lambda: Policy.objects.filter(project__any=Given("projects"), active=True))


def change(project: Project, *, by: User, address: str | None = None, **fields: Any) -> Policy:
    """Put a new version in force with these fields changed; the old version stays on record.

    Locks the project, so two changes at once become two versions: waiting for the version itself,
    the second would find it no longer active and the newer one not yet there.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        old = active_policy(project)
        kept = {name: getattr(old, name) for name in RULES}
        Policy.objects.filter(pk=old.pk).update(active=False)
        new = Policy(
            project=project, version=_next_version(project), created_by=by, **{**kept, **fields}
        )
        new.full_clean(validate_unique=False, validate_constraints=False)
        new.save(force_insert=True)
        audit.record(
            "policy.changed",
            subject=new,
            actor=by,
            project=project,
            address=address,
            version=new.version,
            **{name: getattr(new, name) for name in fields},
        )
    return new


def _next_version(project: Project) -> int:
    last = Policy.objects.filter(project=project).order_by("-version").first()
    return last.version + 1 if last else 1
