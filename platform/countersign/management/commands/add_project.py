"""`manage.py add_project`: makes a project of a repository, or brings one up to date."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from agents.workspace.addresses import folder_of
from agents.workspace.git import Store
from approvals.policies import active_policy
from projects.exceptions import CountersignError
from projects.onboarding import Onboarding, add_project, draft

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from projects.models import Project


_NEXT = (
    'Next: .venv/bin/python manage.py submit "What you want done" --project {slug} --watch\n'
    "It asks as the demo's requester; another member gives --token (admin, Api tokens)."
)


class Command(BaseCommand):
    """Check everything that is asked for, then do it at once."""

    help = "Make a project of a repository with its members. Run again, it changes what is named."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("slug", help="Its short name: lower-case letters, digits, hyphens.")
        parser.add_argument("--repository", help="A bare or working repository here, or a URL.")
        parser.add_argument("--main", help="The branch merges go to (main).")
        parser.add_argument("--checks", help='Its checks, e.g. "python -m pytest -q".')
        parser.add_argument("--requester", action="append", default=[], help="May ask for work.")
        parser.add_argument("--lead", action="append", default=[], help="Also signs.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Add or change the project; say what is still missing."""
        try:
            project = _add(options)
        except CountersignError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{project.slug} follows {project.main_branch} of {project.repository}.")
        for missing in _missing(project):
            self.stdout.write(missing)
        if project.memberships.exists():
            self.stdout.write(_NEXT.format(slug=project.slug))


def _add(options: dict[str, Any]) -> Project:
    asked = Onboarding(
        slug=options["slug"],
        repository=_address(options["repository"]),
        main_branch=options["main"],
        checks_command=options["checks"],
        requesters=tuple(options["requester"]),
        leads=tuple(options["lead"]),
    )
    _ask(draft(asked))
    with transaction.atomic():
        project = add_project(asked, by=None)
        active_policy(project)
    return project


def _address(repository: str | None) -> str | None:
    """Return the repository as every process can find it, whatever folder it runs in."""
    if repository is None:
        return None
    folder = folder_of(repository)
    return str(folder) if folder else repository


def _ask(project: Project) -> None:
    """Raise RepositoryUnreachable or NoSuchBranch unless the repository answers."""
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        store = Store(
            Path(folder) / "probe.git", repository=project.repository, main=project.main_branch
        )
        store.main_now()


def _missing(project: Project) -> list[str]:
    roles = set(project.memberships.values_list("role", flat=True))
    told = []
    if "lead" not in roles:
        told.append("Nobody can sign yet: add a tech lead with --lead USER.")
    if not project.checks_command:
        told.append("It has no checks: name the command with --checks, or proposals go unchecked.")
    return told
