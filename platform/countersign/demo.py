"""The demo that comes with Countersign: its agents, one project, four people and their tokens."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from agents.models import Task
from agents.seeding import seed_agents
from agents.workspace.demo import (
    CHECKS_COMMAND,
    create_demo_repository,
    reset_demo_repository,
)
from approvals.policies import active_policy
from countersign.supervisor.records import write_private
from projects import audit, tokens
from projects.exceptions import CountersignError
from projects.models import AuditEntry, Membership, Project, Role, User

if TYPE_CHECKING:
    from pathlib import Path

SLUG = "billing-demo"
# The key is the name in demo-accounts.json and the username.
PEOPLE: dict[str, dict[str, Any]] = {
    "requester": {"first_name": "Mira", "last_name": "Ode"},
    "lead": {"first_name": "Dana", "last_name": "Kim"},
    "second_lead": {"first_name": "Ravi", "last_name": "Singh"},
    "admin": {
        "first_name": "Ada",
        "last_name": "Admin",
        "is_staff": True,
        "is_superuser": True,
    },
}
ROLES = {"requester": Role.REQUESTER, "lead": Role.LEAD, "second_lead": Role.LEAD}
TOKEN_NAME = "demo account"  # noqa: S105 -- a name, not a token
SEEDED = "demo.seeded"
_LOCK = 0x0C5A5EED

Accounts = dict[str, dict[str, str]]


class DemoBusy(CountersignError):
    """A task of the demo is still open. Nothing was changed; finish or stop it first."""


class DemoMissing(CountersignError):
    """There is no bundled demo project here. Make it with `manage.py seed`."""


def accounts_file() -> Path:
    """Return where the demo accounts are written."""
    path: Path = settings.DATA_DIR / "demo-accounts.json"
    return path


def read_accounts() -> Accounts | None:
    """Return the demo accounts, None when the file is missing or was damaged."""
    try:
        accounts = json.loads(accounts_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return accounts if isinstance(accounts, dict) else None


def seed() -> None:
    """Make what is missing; twice, or twice at once, changes nothing.

    What an admin removed later is not brought back. People get new passwords when the accounts
    file is gone. Locks out other seedings until done.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        with transaction.atomic():
            seed_agents()
            people = _seed_once()
        if read_accounts() is None:
            write_private(accounts_file(), json.dumps(_renew(people), indent=2) + "\n")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def reset() -> tuple[str, str]:
    """Set main of the bundled repository back to its first commit; return where it was and is.

    Raises DemoBusy while a task of the project is open, DemoMissing, and what git raises.
    """
    with transaction.atomic():
        project = Project.objects.select_for_update().filter(slug=SLUG, bundled=True).first()
        if project is None:
            raise DemoMissing
        if tasks := list(Task.objects.filter(project=project).open().order_by("number")):
            raise DemoBusy(
                f"{_named(tasks)} of {SLUG} {'is' if len(tasks) == 1 else 'are'} still open. "
                "Nothing was changed; finish or stop what is open first."
            )
        # The bundled one in our own data directory, whatever address the project was given since.
        before, first = reset_demo_repository(_repository())
        if before != first:
            audit.record(
                audit.DEMO_RESET,
                subject=project,
                actor=None,
                project=project,
                before=before,
                now=first,
            )
    return before, first


def _named(tasks: list[Task]) -> str:
    """Name tasks with their states: T-1 (review), T-2 (working) and T-3 (working)."""
    names = [f"{task.label} ({task.get_state_display()})" for task in tasks]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _repository() -> Path:
    path: Path = settings.DATA_DIR / "repositories" / f"{SLUG}.git"
    return path


def _seed_once() -> list[str]:
    """Make the project and its people on the first start; return the usernames made then."""
    done = AuditEntry.objects.filter(action=SEEDED).first()
    repository = _repository()
    repository.parent.mkdir(mode=0o700, exist_ok=True)
    create_demo_repository(repository)
    if done:
        # The data directory may have moved since.
        Project.objects.filter(slug=SLUG, bundled=True).update(repository=str(repository))
        return list(done.detail["people"])
    taken = set(User.objects.filter(username__in=PEOPLE).values_list("username", flat=True))
    made = [name for name in PEOPLE if name not in taken]
    users = {name: User.objects.create_user(name, **PEOPLE[name]) for name in made}
    project = _project(str(repository))
    for name in ROLES.keys() & users.keys():
        Membership.objects.create(user=users[name], project=project, role=ROLES[name])
    audit.record(SEEDED, subject=project, actor=None, project=project, people=made)
    return made


def _project(repository: str) -> Project:
    project = Project.objects.create(
        slug=SLUG,
        name="Billing (demo)",
        repository=repository,
        main_branch="main",
        checks_command=CHECKS_COMMAND,
        allow_rlimits_only=True,  # its code comes with us, so it may run where no sandbox does
        bundled=True,
    )
    active_policy(project)
    return project


def _renew(people: list[str]) -> Accounts:
    """Give each demo person who is still active a new password and token."""
    accounts: Accounts = {}
    with transaction.atomic():
        for user in User.objects.filter(username__in=people, is_active=True):
            password = readable_password()
            user.set_password(password)
            user.save(update_fields=["password"])
            user.api_tokens.filter(name=TOKEN_NAME, revoked_at=None).update(
                revoked_at=timezone.now()
            )
            _, token = tokens.issue(user, name=TOKEN_NAME, days=365)
            accounts[user.username] = {
                "username": user.username,
                "password": password,
                "token": token,
            }
            audit.record("demo.password_renewed", subject=user, actor=None)
    return accounts


def readable_password() -> str:
    """Return three words that can be said aloud and mean nothing: 59 random bits."""
    return "-".join("".join(_syllable() for _ in range(3)) for _ in range(3))


def _syllable() -> str:
    return secrets.choice("bdfghjklmnprstvwz") + secrets.choice("aeiou")
