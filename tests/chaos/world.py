"""The tables, people, projects and repositories the chaos runs work on. Django is set up by then."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.db import connection, transaction

from agents.models import Agent, Grant, ModelProfile, Tool, ToolServer
from agents.seeding import seed_agents
from approvals import policies
from countersign.supervisor import logins
from projects.models import Membership, Project, Role, User
from projects.tokens import issue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House
    from tests.tool_server import PayServer

PASSWORD = "correct horse of chaos"
PROJECTS = 8
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
    requester, lead = _person("mira"), _person("dana")
    _person("root", is_staff=True, is_superuser=True)
    _, token = issue(requester, name="chaos")
    repositories: dict[str, Path] = {}
    projects = []
    for number in range(PROJECTS):
        slug = f"chaos-{number}"
        repositories[slug] = make_repository(house.folder / f"{slug}.git")
        project = Project.objects.create(
            slug=slug,
            name=slug,
            repository=str(repositories[slug]),
            checks_command="true" if number % 2 else "",
            allow_rlimits_only=True,
        )
        Membership.objects.create(user=requester, project=project, role=Role.REQUESTER)
        Membership.objects.create(user=lead, project=project, role=Role.LEAD)
        policies.change(project, by=lead, undo_seconds=0)
        projects.append(project)
    return World(token=token, projects=projects, repositories=repositories, shop=shop)


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


def _person(username: str, **facts: bool) -> User:
    person = User(username=username, first_name=username.title(), last_name="Test", **facts)
    person.set_password(PASSWORD)
    person.save()
    return person


def make_repository(bare: Path) -> Path:
    """Make a bare repository with one commit on main."""
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "--git-dir", str(bare)]

    def run(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [*git, *arguments], input=given, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    blob = run("hash-object", "-w", "--stdin", given="A service.\n")
    tree = run("mktree", given=f"100644 blob {blob}\tREADME.md\n")
    run("update-ref", "refs/heads/main", run("commit-tree", tree, "-m", "Begin"))
    return bare


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
