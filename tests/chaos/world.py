"""The tables, people, projects and repositories the chaos runs work on. Django is set up by then."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.db import connection, transaction

from agents.models import Agent, Grant, ModelProfile, Tool, ToolServer
from agents.seeding import seed_agents
from approvals import policies
from approvals.models import Remember
from countersign.supervisor import logins
from projects.models import Membership, Project, Role, User
from projects.tokens import issue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House
    from tests.tool_server import PayServer

MAIN = "refs/heads/main"
PASSWORD = "correct horse of chaos"
PROJECTS = 8
UNCHECKED = {f"chaos-{number}" for number in range(0, PROJECTS, 2)}
UNDO_SECONDS = 4  # in which main is to move once more
CALL_UNDO_SECONDS = 8  # in which a permission is taken back, also by a second try
ROLES = {"mira": Role.REQUESTER, "dana": Role.LEAD, "ravi": Role.LEAD}
_PAYS = {
    "type": "object",
    "properties": {"invoice": {"type": "string"}, "cents": {"type": "integer"}},
    "required": ["invoice", "cents"],
}


@dataclass
class World:
    """Who and what there is."""

    token: str
    projects: list[Project]
    homes: dict[str, str]  # the project of its own that a kind of story has
    repositories: dict[str, Path]  # by slug
    shop: PayServer


def make(house: House, shop: PayServer) -> World:
    """Make the tables and everything in them; each project has a repository of its own."""
    call_command("migrate", interactive=False, verbosity=0)
    with transaction.atomic(), connection.cursor() as cursor:
        for login in logins.LOGINS:
            logins.create(cursor, login, house.parts.passwords[login.name])
            logins.grant(cursor, login, logins.role_name(login))
    seed_agents()
    _offer(shop)
    # A stalled stream is given up before the runs are over.
    ModelProfile.objects.update(timeout_seconds=10)
    people = _people()
    _, token = issue(people["mira"], name="chaos")
    terms: dict[str, dict[str, object]] = {f"chaos-{number}": {} for number in range(PROJECTS)}
    terms["chaos-held"] = {"signatures_needed": 2, "undo_seconds": UNDO_SECONDS}
    terms["chaos-undo"] = {"call_undo_seconds": CALL_UNDO_SECONDS}
    terms["chaos-grant"] = {"standing_grants": Remember.ANY}
    repositories = {slug: make_repository(house.folder / f"{slug}.git") for slug in terms}
    projects = [
        _project(slug, repositories[slug], people, {"undo_seconds": 0, **own})
        for slug, own in terms.items()
    ]
    return World(
        token=token,
        projects=projects[:PROJECTS],
        homes={kind: f"chaos-{kind}" for kind in ("held", "undo", "grant")},
        repositories=repositories,
        shop=shop,
    )


def _project(
    slug: str, repository: Path, people: dict[str, User], terms: dict[str, Any]
) -> Project:
    """Make a project; every other one, and where signatures are to hold, has checks."""
    project = Project.objects.create(
        slug=slug,
        name=slug,
        repository=str(repository),
        checks_command="" if slug in UNCHECKED else "true",
        allow_rlimits_only=True,
    )
    for name, role in ROLES.items():
        Membership.objects.create(user=people[name], project=project, role=role)
    policies.change(project, by=people["dana"], **terms)
    return project


def _offer(shop: PayServer) -> None:
    """Let the code agent ask for a tool outside that must not be called twice."""
    server = ToolServer.objects.create(slug="pay", name="Pay", transport="http", target=shop.url)
    tool = Tool.objects.create(
        server=server,
        name="pay",
        description="Pay an invoice.",
        input_schema=_PAYS,
        definition_digest="d" * 64,
    )
    Grant.objects.create(agent=Agent.objects.get(slug="coder"), tool=tool)


def _people() -> dict[str, User]:
    _person("root", is_staff=True, is_superuser=True)
    return {name: _person(name) for name in ROLES}


def _person(username: str, **facts: bool) -> User:
    person = User(username=username, first_name=username.title(), last_name="Test", **facts)
    person.set_password(PASSWORD)
    person.save()
    return person


def make_repository(bare: Path) -> Path:
    """Make a bare repository with one commit on main."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    blob = _git(bare, "hash-object", "-w", "--stdin", given="A service.\n")
    tree = _git(bare, "mktree", given=f"100644 blob {blob}\tREADME.md\n")
    _git(bare, "update-ref", MAIN, _git(bare, "commit-tree", tree, "-m", "Begin"))
    return bare


def move_main(bare: Path, name: str) -> None:
    """Put a commit with one more file onto main, as somebody who pushes; again if main has moved."""
    blob = _git(bare, "hash-object", "-w", "--stdin", given=f"{name}\n")
    while True:
        main = _git(bare, "rev-parse", MAIN)
        listed = _git(bare, "ls-tree", main)
        tree = _git(bare, "mktree", given=f"{listed}\n100644 blob {blob}\t{name}\n")
        commit = _git(bare, "commit-tree", tree, "-p", main, "-m", f"Add {name}")
        try:
            _git(bare, "update-ref", MAIN, commit, main)
        except subprocess.CalledProcessError:
            continue  # something landed between
        return


def _git(bare: Path, *arguments: str, given: str = "") -> str:
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "--git-dir", str(bare)]
    done = subprocess.run(
        [*git, *arguments], input=given, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def merged_approvals(bare: Path) -> list[str]:
    """Return the approval named by each commit of main that names one, as plain git tells it."""
    wanted = "--format=%(trailers:key=Countersign-Approval,valueonly,separator=%x20)"
    done = subprocess.run(
        ["git", "--git-dir", str(bare), "log", wanted, "main"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()
